import { QueryClient, queryOptions } from '@tanstack/react-query';
import { type Accepted, api, atLeast, unwrap } from '@/api/client';
import { asProblem } from '@/api/problem';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // What changes is told by the live connection; a read is not repeated on its own.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => {
        const { status } = asProblem(error);
        return count < 3 && (status === 0 || status >= 500);
      },
      retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
    },
    mutations: { retry: false },
  },
});

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => unwrap(api.GET('/api/v1/me', { signal })),
  staleTime: 300_000,
});

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id],
    queryFn: ({ signal }) =>
      unwrap(api.GET('/api/v1/runs/{id}', { params: { path: { id } }, signal })),
  });

export const sessionQuery = (id: string) =>
  queryOptions({
    queryKey: ['session', id],
    queryFn: ({ signal }) =>
      unwrap(api.GET('/api/v1/sessions/{id}', { params: { path: { id } }, signal })),
  });

export const sessionRunsQuery = (id: string) =>
  queryOptions({
    queryKey: ['session', id, 'runs'],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/sessions/{id}/runs', {
          params: { path: { id }, query: { limit: 100 } },
          signal,
        }),
      ),
  });

export const profilesQuery = queryOptions({
  queryKey: ['profiles'],
  queryFn: ({ signal }) => unwrap(api.GET('/api/v1/profiles', { signal })),
  staleTime: 300_000,
});

/** Reads a run as it is once a command's effect is in it. */
export async function readRun(id: string, accepted?: Accepted) {
  const query = accepted ? { at_least: atLeast(accepted) } : {};
  const run = await unwrap(api.GET('/api/v1/runs/{id}', { params: { path: { id }, query } }));
  queryClient.setQueryData(runQuery(id).queryKey, run);
  return run;
}

/** Reads a session as it is once a command's effect is in it. */
export async function readSession(id: string, accepted?: Accepted) {
  const query = accepted ? { at_least: atLeast(accepted) } : {};
  const session = await unwrap(
    api.GET('/api/v1/sessions/{id}', { params: { path: { id }, query } }),
  );
  queryClient.setQueryData(sessionQuery(id).queryKey, session);
  return session;
}
