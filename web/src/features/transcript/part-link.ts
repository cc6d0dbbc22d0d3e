import { useEffect, useState } from 'react';
import type { Transcript } from '@/features/transcript/use-transcript';
import { plural } from '@/lib/format';

const PREFIX = '#part-';

/** The address of one part, on this screen. */
export function partLink(id: string): string {
  return `${PREFIX}${encodeURIComponent(id)}`;
}

function named(hash: string): string | undefined {
  if (!hash.startsWith(PREFIX)) return undefined;
  try {
    return decodeURIComponent(hash.slice(PREFIX.length));
  } catch {
    return undefined;
  }
}

interface Linked {
  /** The part that the address names. */
  id: string | undefined;
  /** What is to be said about it. */
  note: string | undefined;
}

/** Goes to the part that the address names: it is looked for backwards until it is there. */
export function useLinkedPart({
  transcript: { rows, before, beforeError, state, loadBefore },
  enabled,
  show,
}: {
  transcript: Transcript;
  enabled: boolean;
  show(id: string): boolean;
}): Linked {
  const [id, setId] = useState(() => (enabled ? named(location.hash) : undefined));
  const [reached, setReached] = useState(false);
  useEffect(() => {
    if (!enabled) return;
    const follow = () => {
      setId(named(location.hash));
      setReached(false);
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [enabled]);
  useEffect(() => {
    if (id === undefined || reached || state !== 'ready') return;
    if (show(id)) setReached(true);
    else if (before && !beforeError) loadBefore();
  }, [id, reached, state, show, before, beforeError, loadBefore]);
  const note =
    id === undefined || reached || state !== 'ready'
      ? undefined
      : before
        ? `Looking for the part that the address names, before the newest ${plural(rows.length, 'part')}…`
        : 'The part that the address names is not in this transcript.';
  return { id, note };
}
