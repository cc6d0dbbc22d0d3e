import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { components } from '@/api/generated';
import { type Held, hold, type Log, type Seen } from './hold';

export type AuditEvent = components['schemas']['AuditEventBody'];
export type AuditStory = components['schemas']['AuditStoryBody'];

/** What is asked for, as the address has it. */
export interface Filter {
  actor?: string;
  target?: string;
  type?: string;
  outcome?: string;
  since?: string;
  until?: string;
}

const LIMIT = 50;

/** A local time of a form as one that the server reads; undefined where it is none. */
export function moment(text: string | undefined): string | undefined {
  if (!text) return undefined;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

export const eventsQuery = (filter: Filter) =>
  infiniteQueryOptions({
    queryKey: ['audit', 'events', filter],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ signal, pageParam }) => {
      const { outcome, since, until, ...rest } = filter;
      const [from, to] = [moment(since), moment(until)];
      const query = {
        ...rest,
        limit: LIMIT,
        ...(outcome === 'accepted' || outcome === 'refused' ? { outcome } : {}),
        ...(from ? { since: from } : {}),
        ...(to ? { until: to } : {}),
        ...(pageParam ? { cursor: pageParam } : {}),
      } as const;
      return unwrap(api.GET('/api/v1/audit/events', { signal, params: { query } }));
    },
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const storyQuery = (position: number) =>
  queryOptions({
    queryKey: ['audit', 'event', position],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/audit/events/{position}', { signal, params: { path: { position } } }),
      ),
  });

const SEEN = 'paddock.audit.seen';

export function seen(): Seen | undefined {
  try {
    const kept = localStorage.getItem(SEEN);
    return kept ? (JSON.parse(kept) as Seen) : undefined;
  } catch {
    return undefined;
  }
}

const log: Log = {
  checkpoint: () => unwrap(api.GET('/api/v1/audit/checkpoint', { parseAs: 'text' })),
  keys: async () => (await unwrap(api.GET('/api/v1/audit/keys'))).items,
  consistency: async (from, to) => {
    const query = { from, to };
    return (await unwrap(api.GET('/api/v1/audit/proof/consistency', { params: { query } }))).hashes;
  },
};

/** The newest checkpoint, held to the one that this browser saw before. */
export const heldQuery = queryOptions({
  queryKey: ['audit', 'held'],
  queryFn: async (): Promise<Held> => {
    const held = await hold(log, seen());
    // What does not go on from what was seen is not to take its place.
    if (!held.breach)
      localStorage.setItem(SEEN, JSON.stringify({ note: held.note, key: held.key }));
    return held;
  },
  refetchInterval: 30_000,
});
