import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { useTopic } from '@/api/live/hooks';
import type { SystemMessage } from '@/api/live/protocol';
import { queryClient } from '@/api/query';
import type { SystemPart } from '@/api/types';

export const systemQuery = queryOptions({
  queryKey: ['system'],
  queryFn: ({ signal }) => unwrap(api.GET('/api/v1/system', { signal })),
  staleTime: 2_000,
});

/** How the parts are, and each change of that. */
export function useSystem() {
  useTopic('system', undefined, ({ data }) => {
    queryClient.setQueryData(systemQuery.queryKey, (data as SystemMessage).system);
  });
  return useQuery(systemQuery);
}

export const NAMES: Record<string, { label: string; does: string }> = {
  database: { label: 'Database', does: 'PostgreSQL: the event log, the only truth' },
  sequencer: { label: 'Sequencer', does: 'gives each event its position' },
  signer: { label: 'Signer', does: 'signs the record, so that a change to it is found' },
  projections: { label: 'Read models', does: 'what lists and screens show' },
  relay: { label: 'Relay', does: 'hands events to NATS, for subscribers' },
  artifacts: { label: 'Artifact store', does: 'keeps the snapshots of sessions' },
  adapter: { label: 'Adapter', does: 'makes the sandboxes of runs' },
  egress: { label: 'Gateway', does: 'the one way out of a sandbox' },
  forge: { label: 'Forge', does: 'repositories, issues, pull requests' },
  model: { label: 'Model', does: 'what the agents think with' },
};

/** Those that are not well, as they are called within a sentence. */
export function unwell(parts: readonly SystemPart[]): string {
  return parts
    .filter((part) => !part.ok)
    .map(({ name }) => (NAMES[name]?.label ?? name).toLowerCase())
    .join(', ');
}
