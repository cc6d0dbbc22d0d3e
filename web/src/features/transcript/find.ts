import { useEffect, useMemo, useState } from 'react';
import type { Entry, Row } from '@/features/transcript/model';
import { at } from '@/features/transcript/pointer';

/** What of a part is read when something is looked for. */
const READ = [
  '/text',
  '/tool',
  '/state/title',
  '/state/input/command',
  '/state/input/filePath',
  '/state/input/pattern',
  '/state/input/description',
  '/state/output',
  '/state/error',
  '/state/metadata/diff',
  '/filename',
  '/reason',
];
/** No more than so long at a time: the page goes on answering. */
const SLICE_MS = 8;
/** After what came live, so long: not once a frame. */
const PAUSE_MS = 250;

/** What finds a text, in small and capital letters alike. */
export function pattern(query: string): RegExp | undefined {
  const text = query.trim();
  if (text === '') return undefined;
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
}

/** Whether a part holds what is looked for. */
export function holds({ part }: Entry, what: RegExp): boolean {
  return READ.some((pointer) => {
    const value = at(part, pointer);
    return typeof value === 'string' && what.test(value);
  });
}

export interface Found {
  /** The ids of the parts that hold it, in order. */
  ids: readonly string[];
  /** Not all that is loaded was read yet. */
  reading: boolean;
}

const NONE: Found = { ids: [], reading: false };

/** The parts that hold a text, of those that are loaded; read from the newest on, a little at a time. */
export function useFound(rows: readonly Row[], change: number, query: string): Found {
  const [found, setFound] = useState(NONE);
  const what = useMemo(() => pattern(query), [query]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what came live may hold it.
  useEffect(() => {
    if (!what) {
      setFound(NONE);
      return;
    }
    const ids: string[] = [];
    let index = rows.length;
    let timer: ReturnType<typeof setTimeout>;
    const slice = () => {
      const until = performance.now() + SLICE_MS;
      while (index > 0 && performance.now() < until) {
        index -= 1;
        const row = rows[index];
        if (row && holds(row.entry, what)) ids.push(row.id);
      }
      if (index > 0) timer = setTimeout(slice, 0);
      else setFound({ ids: ids.toReversed(), reading: false });
    };
    setFound((before) => ({ ...before, reading: true }));
    timer = setTimeout(slice, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [rows, change, what]);
  return found;
}
