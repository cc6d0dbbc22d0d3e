import { useQueries } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { api, unwrap } from '@/api/client';
import { connection } from '@/api/live/connection';
import type { Message, SessionMessage } from '@/api/live/protocol';
import { asProblem, type ProblemError } from '@/api/problem';
import { sessionQuery } from '@/api/query';
import type { Session, SessionGroup } from '@/api/types';
import { GROUP_ORDER } from '@/features/sessions/words';
import { onFrame } from '@/lib/frame';

/** What is known of the sessions that are not archived. */
export interface Sessions {
  byId: ReadonlyMap<string, Session>;
  /** Where the rest of the done ones is; the other groups are here whole. */
  more: string | null;
  state: 'loading' | 'ready' | 'failed';
  error: ProblemError | undefined;
}

const PAGE = 200;
/** More than this in one group is for the search. */
const MOST = 2_000;

/**
 * The sessions of the home page, kept as the server tells of changes. There is one for the whole page:
 * lists, peeks, the title and the palette read the same.
 */
class SessionStore {
  #state: Sessions = { byId: new Map(), more: null, state: 'loading', error: undefined };
  #watchers = new Set<() => void>();
  #stop: (() => void) | undefined;
  #frame: (() => void) | undefined;
  #changed: Map<string, Session | null> | undefined;

  readonly get = (): Sessions => this.#state;

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1 && !this.#stop) void this.load();
    return () => {
      this.#watchers.delete(watcher);
    };
  };

  async load(): Promise<void> {
    this.#stop?.();
    this.#stop = () => undefined;
    try {
      const pages = await Promise.all(GROUP_ORDER.map((group) => load(group)));
      const byId = new Map(pages.flatMap(({ items }) => items.map((item) => [item.id, item])));
      const position = Math.min(...pages.map((page) => page.position));
      const more = pages[GROUP_ORDER.indexOf('done')]?.next ?? null;
      this.#set({ byId, more, state: 'ready', error: undefined });
      this.#stop = connection.subscribe('sessions', position, (message) => this.#take(message));
    } catch (error) {
      this.#stop = undefined;
      this.#set({ ...this.#state, state: 'failed', error: asProblem(error) });
    }
  }

  async loadMore(): Promise<void> {
    const cursor = this.#state.more;
    if (!cursor) return;
    const page = await unwrap(
      api.GET('/api/v1/sessions', { params: { query: { group: 'done', limit: PAGE, cursor } } }),
    );
    const byId = new Map(this.#state.byId);
    for (const session of page.items) {
      const known = byId.get(session.id);
      if (!known || known.version <= session.version) byId.set(session.id, session);
    }
    this.#set({ ...this.#state, byId, more: page.next ?? null });
  }

  #take(message: Message): void {
    if (message.kind === 'reset') {
      void this.load();
      return;
    }
    const { session, removed } = message.data as SessionMessage;
    this.#changed ??= new Map();
    if (session) this.#changed.set(session.id, session.archived ? null : session);
    if (removed) this.#changed.set(removed, null);
    // Twenty agents at work say something many times a second: the page is drawn once a frame.
    this.#frame ??= onFrame(() => {
      this.#frame = undefined;
      const byId = new Map(this.#state.byId);
      for (const [id, changed] of this.#changed ?? []) {
        if (changed) byId.set(id, changed);
        else byId.delete(id);
      }
      this.#changed = undefined;
      this.#set({ ...this.#state, byId });
    });
  }

  #set(state: Sessions): void {
    this.#state = state;
    for (const watcher of this.#watchers) watcher();
  }
}

async function load(group: SessionGroup) {
  const items: Session[] = [];
  let position = 0;
  let cursor: string | null = null;
  do {
    const page: { items: Session[]; next?: string | null; position: number } = await unwrap(
      api.GET('/api/v1/sessions', {
        params: { query: { group, limit: PAGE, ...(cursor ? { cursor } : {}) } },
      }),
    );
    items.push(...page.items);
    position = cursor ? Math.min(position, page.position) : page.position;
    cursor = page.next ?? null;
  } while (cursor && group !== 'done' && items.length < MOST);
  return { items, position, next: cursor };
}

export const sessions = new SessionStore();

export function useSessions(): Sessions {
  return useSyncExternalStore(sessions.watch, sessions.get);
}

/** The sessions of these ids, as far as they are here; one that is not among those loaded is asked for. */
export function useSessionsOf(ids: readonly string[]): Session[] {
  const { byId, state } = useSessions();
  const missing = state === 'ready' ? ids.filter((id) => !byId.has(id)) : [];
  const asked = useQueries({ queries: missing.map((id) => sessionQuery(id)) });
  return ids.flatMap((id) => byId.get(id) ?? asked[missing.indexOf(id)]?.data ?? []);
}
