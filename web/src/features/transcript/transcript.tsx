import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, MessagesSquare } from 'lucide-react';
import { memo, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { Run } from '@/api/types';
import { useShortcuts } from '@/features/shell/shortcuts';
import { estimate } from '@/features/transcript/estimate';
import { Find } from '@/features/transcript/find-in';
import { Folds, FoldsProvider } from '@/features/transcript/folds';
import { partLink, useLinkedPart } from '@/features/transcript/part-link';
import { TranscriptRow } from '@/features/transcript/transcript-row';
import { useTranscript } from '@/features/transcript/use-transcript';
import { plural } from '@/lib/format';
import { Button } from '@/ui/button';
import { Spinner } from '@/ui/spinner';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { done } from '@/ui/toast';

/** This near to the end counts as there. */
const NEAR = 48;
/** With fewer parts than these before what is in sight, older ones are asked for. */
const AHEAD = 20;

interface TranscriptProps {
  run: Run;
  /** In little room. */
  compact?: boolean;
  /** Something is looked for in it. */
  finding?: boolean;
  onFound?(): void;
}

/** What an agent said and did. It follows the end until somebody scrolls away. */
export function Transcript({ run, compact = false, finding = false, onFound }: TranscriptProps) {
  const transcript = useTranscript(run.id);
  const { rows, before, state, error, beforeError, loadBefore, retry } = transcript;
  const scroller = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  // What somebody opens grows below the pointer: the end is not followed then.
  const [folds] = useState(() => new Folds(() => setFollowing(false)));
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: useCallback((index: number) => estimate(rows[index]), [rows]),
    getItemKey: useCallback((index: number) => rows[index]?.id ?? index, [rows]),
    overscan: 8,
    // What comes into sight is drawn with the next frame, not within the scroll event: the rows around are there.
    useFlushSync: false,
    // Older parts come in above: what is being read stays where it is.
    anchorTo: 'end',
    scrollEndThreshold: following ? NEAR : -1,
  });
  const total = list.getTotalSize();

  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the end has moved.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element && following) element.scrollTop = element.scrollHeight;
  }, [total, following, rows.length]);
  const ready = state === 'ready';
  // What stands above and below it comes and goes, and leaves it more room or less.
  useEffect(() => {
    const element = scroller.current;
    if (!element || !following || !ready) return;
    const room = new ResizeObserver(() => {
      element.scrollTop = element.scrollHeight;
    });
    room.observe(element);
    return () => room.disconnect();
  }, [following, ready]);

  const scrolled = useRef(0);
  const onScroll = ({ currentTarget }: { currentTarget: HTMLElement }) => {
    const { scrollHeight, scrollTop, clientHeight } = currentTarget;
    const up = scrollTop < scrolled.current - 1;
    scrolled.current = scrollTop;
    if (scrollHeight - scrollTop - clientHeight < NEAR) setFollowing(true);
    else if (up) setFollowing(false);
  };

  const last = rows.at(-1)?.id;
  const [seen, setSeen] = useState<string>();
  useEffect(() => {
    if (following) setSeen(last);
  }, [following, last]);
  const unseen = following ? 0 : newerThan(rows, seen);

  const top = list.getVirtualItems()[0]?.index ?? 0;
  useEffect(() => {
    if (state === 'ready' && before && !beforeError && !following && top < AHEAD) loadBefore();
  }, [state, before, beforeError, following, top, loadBefore]);
  // What is there does not fill the screen: there is nothing to scroll.
  const short = state === 'ready' && total < (scroller.current?.clientHeight ?? 0);
  useEffect(() => {
    if (short && before && !beforeError) loadBefore();
  }, [short, before, beforeError, loadBefore]);

  const show = useCallback(
    (id: string) => {
      const index = rows.findIndex((row) => row.id === id);
      if (index < 0) return false;
      setFollowing(false);
      list.scrollToIndex(index, { align: 'center' });
      return true;
    },
    [rows, list],
  );
  const linked = useLinkedPart({ transcript, enabled: !compact, show });

  const toEnd = useCallback(() => {
    setFollowing(true);
    scroller.current?.focus({ preventScroll: true });
  }, []);

  useShortcuts(
    compact
      ? {}
      : {
          y: {
            label: 'Copy a link to the part in focus, or else the first in sight',
            group: 'This run',
            run: () => {
              const focused = document.activeElement?.closest('[data-part]')?.id.slice(5);
              const first = list.getVirtualItemForOffset(list.scrollOffset ?? 0)?.key;
              const id = focused ?? (first === undefined ? undefined : String(first));
              if (id === undefined) return;
              const address = new URL(partLink(id), location.href).href;
              void navigator.clipboard?.writeText(address).then(() => done('The link is copied'));
            },
          },
        },
  );

  if (state === 'loading') return <Skeleton rows={5} label="Loading the transcript" />;
  if (state === 'failed') return <ErrorState error={error} what="the transcript" retry={retry} />;
  if (rows.length === 0 && !before) {
    return (
      <EmptyState icon={MessagesSquare} title="Nothing was said yet">
        {run.finished_at
          ? 'The run ended before the agent spoke.'
          : (run.reason ?? 'The agent has not begun.')}
      </EmptyState>
    );
  }
  return (
    <FoldsProvider value={folds}>
      <div className="flex h-full flex-col">
        {finding && (
          <Find
            transcript={transcript}
            within={scroller}
            onShow={(id) => {
              folds.set(id, true);
              show(id);
            }}
            onClose={() => onFound?.()}
          />
        )}
        {linked.note && (
          <p role="status" className="border-b border-line bg-raised px-4 py-1.5 text-xs text-soft">
            {linked.note}
          </p>
        )}
        <div className="relative min-h-0 flex-1">
          <div
            ref={scroller}
            role="log"
            aria-label="Transcript"
            aria-live="off"
            data-finding={finding || undefined}
            tabIndex={0}
            className="h-full overflow-auto [overflow-anchor:none]"
            onScroll={onScroll}
          >
            <div className="relative mx-auto w-full max-w-4xl" style={{ height: total }}>
              {list.getVirtualItems().map(({ index, key, start }) => {
                const row = rows[index];
                if (!row) return null;
                return (
                  <TranscriptRow
                    key={key}
                    run={run.id}
                    id={row.id}
                    entry={row.entry}
                    index={index}
                    start={start}
                    compact={compact}
                    linked={linked.id === row.id}
                    measure={list.measureElement}
                  />
                );
              })}
            </div>
          </div>
          {before && !following && top < AHEAD && (
            <div className="absolute top-2 left-1/2 -translate-x-1/2 rounded-md border border-line bg-raised px-2.5 py-1 text-xs shadow-raised">
              {beforeError ? (
                <Button small look="quiet" onPress={loadBefore}>
                  What was before did not come: try again
                </Button>
              ) : (
                <Spinner label="Loading what was before" />
              )}
            </div>
          )}
          {!following && !short && <ToEnd unseen={unseen} onPress={toEnd} />}
        </div>
      </div>
    </FoldsProvider>
  );
}

/** The way to the end, and how much is new there. Whoever scrolls draws a frame at a time: not this with each. */
const ToEnd = memo(function ToEnd({ unseen, onPress }: { unseen: number; onPress(): void }) {
  return (
    <Button
      icon={ArrowDown}
      small
      className="absolute bottom-3 left-1/2 -translate-x-1/2 shadow-raised"
      onPress={onPress}
    >
      {unseen > 0 ? plural(unseen, 'new part') : 'To the end'}
    </Button>
  );
});

/** How many rows come after the one with that id, counted from the end. */
function newerThan(rows: readonly { id: string }[], id: string | undefined): number {
  let count = 0;
  while (count < rows.length && rows[rows.length - 1 - count]?.id !== id) count += 1;
  return count === rows.length ? 0 : count;
}
