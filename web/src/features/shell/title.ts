import { useEffect, useRef } from 'react';
import { askLine, askOf } from '@/features/asks/detail';
import { useSessions } from '@/features/sessions/store';
import { line } from '@/lib/safe';
import { useStored } from '@/lib/stored';

const ICON =
  '<rect width="32" height="32" rx="7" fill="#2f6f4f"/><path d="M7 8v17M16 8v17M25 8v17M4 13h24M4 20h24" stroke="#fff" stroke-width="2.6" stroke-linecap="round" fill="none"/>';
const DOT = '<circle cx="24" cy="8" r="8" fill="#e08a00" stroke="#fff" stroke-width="2"/>';

function icon(marked: boolean): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${ICON}${marked ? DOT : ''}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** The tab says how many need somebody; where it may, so does a notification, once for each ask. */
export function useTitle(signedIn: boolean): void {
  const [notify] = useStored('notifications', ['off', 'on'], 'off');
  const { byId } = useSessions();
  const count = signedIn
    ? [...byId.values()].filter((session) => session.group === 'needs_you').length
    : 0;
  useEffect(() => {
    document.title = count > 0 ? `(${count}) Paddock` : 'Paddock';
    document.querySelector('link[rel=icon]')?.setAttribute('href', icon(count > 0));
  }, [count]);

  const told = useRef<Set<string> | undefined>(undefined);
  useEffect(() => {
    const asks = [...byId.values()].flatMap((session) =>
      session.inputs.map((input) => ({ session, input })),
    );
    // What was there when the page was opened is seen on it.
    const before = told.current;
    told.current = new Set(asks.map(({ input }) => input.id));
    if (!before || notify === 'off' || document.visibilityState === 'visible') return;
    if (typeof Notification === 'undefined' || Notification.permission !== 'granted') return;
    for (const { session, input } of asks) {
      if (before.has(input.id)) continue;
      new Notification(line(session.title ?? session.branch, 80), {
        body: askLine(askOf(input)),
        tag: input.id,
      });
    }
  }, [byId, notify]);
}
