import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, MessagesSquare } from 'lucide-react';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { Run } from '@/api/types';
import { Part } from '@/features/transcript/part';
import { useTranscript } from '@/features/transcript/use-transcript';
import { plural } from '@/lib/format';
import { Button } from '@/ui/button';
import { Spinner } from '@/ui/spinner';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';

/** This near to the end counts as there. */
const NEAR = 48;

/** What an agent said and did. It follows the end until somebody scrolls away. */
export function Transcript({ run, compact = false }: { run: Run; compact?: boolean }) {
  const { entries, before, state, error, loadBefore, retry } = useTranscript(run.id);
  const scroller = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const [seen, setSeen] = useState<string>();
  const list = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 44,
    getItemKey: (index) => entries[index]?.id ?? index,
    overscan: 8,
  });
  const total = list.getTotalSize();

  // Older parts come in above: what is being read stays where it is.
  const first = entries[0]?.id;
  const anchor = useRef<{ first: string | undefined; total: number }>({
    first: undefined,
    total: 0,
  });
  useLayoutEffect(() => {
    const element = scroller.current;
    const known = anchor.current;
    if (element && !following && known.first && first !== known.first && total > known.total) {
      element.scrollTop += total - known.total;
    }
    anchor.current = { first, total };
  }, [first, total, following]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the end has moved.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element && following) element.scrollTop = element.scrollHeight;
  }, [total, following, entries.length]);

  const last = entries.at(-1)?.id;
  useEffect(() => {
    if (following) setSeen(last);
  }, [following, last]);
  const unseen = following ? 0 : entries.length - 1 - entries.findIndex(({ id }) => id === seen);

  const top = list.getVirtualItems()[0]?.index ?? 0;
  useEffect(() => {
    if (state === 'ready' && before && top < 12) loadBefore();
  }, [state, before, top, loadBefore]);

  // A link to one part: it is looked for backwards until it is there.
  const target = useRef(location.hash.startsWith('#part-') ? location.hash.slice(6) : undefined);
  useEffect(() => {
    if (!target.current || state !== 'ready') return;
    const index = entries.findIndex(({ id }) => id === target.current);
    if (index >= 0) {
      target.current = undefined;
      setFollowing(false);
      list.scrollToIndex(index, { align: 'start' });
    } else if (before) loadBefore();
  }, [state, entries, before, loadBefore, list]);

  if (state === 'loading') return <Skeleton rows={5} label="Loading the transcript" />;
  if (state === 'failed' && entries.length === 0) {
    return <ErrorState error={error} what="the transcript" retry={retry} />;
  }
  if (entries.length === 0) {
    return (
      <EmptyState icon={MessagesSquare} title="Nothing was said yet">
        {run.finished_at
          ? 'The run ended before the agent spoke.'
          : (run.reason ?? 'The agent has not begun.')}
      </EmptyState>
    );
  }
  return (
    <div className="relative h-full">
      <div
        ref={scroller}
        role="log"
        aria-label="Transcript"
        aria-live="off"
        tabIndex={0}
        className="h-full overflow-auto"
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          setFollowing(scrollHeight - scrollTop - clientHeight < NEAR);
        }}
      >
        {before && (
          <p className="p-2 text-center">
            <Spinner label="Loading what was before" />
          </p>
        )}
        <div className="relative mx-auto w-full max-w-4xl" style={{ height: total }}>
          {list.getVirtualItems().map(({ index, key, start }) => {
            const entry = entries[index];
            if (!entry) return null;
            return (
              <div
                key={key}
                id={`part-${entry.id}`}
                ref={list.measureElement}
                data-index={index}
                data-part
                className={
                  compact
                    ? 'absolute left-0 w-full px-1 py-0.5'
                    : 'absolute left-0 w-full px-3 py-1'
                }
                style={{ transform: `translateY(${start}px)` }}
              >
                <Part run={run.id} entry={entry} />
              </div>
            );
          })}
        </div>
      </div>
      {!following && (
        <Button
          icon={ArrowDown}
          small
          className="absolute bottom-3 left-1/2 -translate-x-1/2 shadow-raised"
          onPress={() => setFollowing(true)}
        >
          {unseen > 0 ? `${plural(unseen, 'new part')}` : 'To the end'}
        </Button>
      )}
    </div>
  );
}
