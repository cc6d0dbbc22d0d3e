import { type RefObject, useEffect, useMemo, useState } from 'react';
import { pattern, useFound } from '@/features/transcript/find';
import { FindBar } from '@/features/transcript/find-bar';
import { useHighlight } from '@/features/transcript/highlight';
import type { Transcript } from '@/features/transcript/use-transcript';

interface FindProps {
  transcript: Transcript;
  within: RefObject<HTMLElement | null>;
  onShow(id: string): void;
  onClose(): void;
}

/** Looks for a text in what is loaded, from the newest on, and further back when told to. */
export function Find({ transcript, within, onShow, onClose }: FindProps) {
  const { rows, change, before, beforeError, loadBefore } = transcript;
  const [query, setQuery] = useState('');
  const [shown, setShown] = useState<string>();
  const [further, setFurther] = useState(false);
  const found = useFound(rows, change, query);
  useHighlight(
    within,
    useMemo(() => pattern(query), [query]),
  );
  const current = shown === undefined ? -1 : found.ids.indexOf(shown);
  const go = (id: string | undefined) => {
    if (id === undefined) return;
    setShown(id);
    onShow(id);
  };
  // The newest first; then the one that was chosen stays, whatever comes.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for what was found.
  useEffect(() => {
    if (!found.reading && current < 0) go(found.ids.at(-1));
  }, [found]);
  // Until something is found there, or there is no more.
  const known = found.ids[0];
  const [from, setFrom] = useState<string>();
  useEffect(() => {
    if (!further || found.reading) return;
    if (known !== from || !before || beforeError) setFurther(false);
    else loadBefore();
  }, [further, found, known, from, before, beforeError, loadBefore]);
  return (
    <FindBar
      query={query}
      onQuery={(text) => {
        setQuery(text);
        setShown(undefined);
        setFurther(false);
      }}
      count={found.ids.length}
      current={Math.max(0, current)}
      reading={found.reading && found.ids.length === 0}
      onStep={(by) => {
        const { length } = found.ids;
        if (length > 0) go(found.ids[(Math.max(0, current) + by + length) % length]);
      }}
      onFurther={
        before
          ? () => {
              setFrom(known);
              setFurther(true);
            }
          : undefined
      }
      further={further}
      onClose={onClose}
    />
  );
}
