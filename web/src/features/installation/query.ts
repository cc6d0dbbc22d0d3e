import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { queryClient } from '@/api/query';

export const settingsQuery = queryOptions({
  queryKey: ['settings'],
  queryFn: ({ signal }) => unwrap(api.GET('/api/v1/settings', { signal })),
  // Others may change them: a screen that is opened shows them as they are.
  staleTime: 0,
});

export const historyQuery = infiniteQueryOptions({
  queryKey: ['settings', 'history'],
  queryFn: ({ signal, pageParam }) =>
    unwrap(
      api.GET('/api/v1/settings/history', {
        params: { query: { limit: 25, ...(pageParam ? { cursor: pageParam } : {}) } },
        signal,
      }),
    ),
  initialPageParam: '',
  getNextPageParam: (page) => page.next,
  staleTime: 0,
});

/** After a change: what holds, its history, and the profiles that new runs choose from. */
export async function changed(): Promise<void> {
  await Promise.all([
    queryClient.invalidateQueries({ queryKey: ['settings'] }),
    queryClient.invalidateQueries({ queryKey: ['profiles'] }),
  ]);
}
