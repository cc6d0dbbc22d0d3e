import { queryOptions } from '@tanstack/react-query';
import { type Accepted, api, unwrap } from '@/api/client';
import { queryClient } from '@/api/query';
import type { Credential, Run } from '@/api/types';

const KEY = ['credentials'];

/** The credentials that one may see, the newest first. */
export const credentialsQuery = queryOptions({
  queryKey: KEY,
  queryFn: async ({ signal }) => {
    const all: Credential[] = [];
    let cursor: string | null | undefined;
    do {
      const query = { limit: 200, ...(cursor ? { cursor } : {}) };
      const page = await unwrap(api.GET('/api/v1/credentials', { params: { query }, signal }));
      all.push(...page.items);
      cursor = page.next;
    } while (cursor);
    return all;
  },
  staleTime: 0,
});

/** The newest runs that used one, of sessions that one may see. */
export const usesQuery = (id: string) =>
  queryOptions({
    queryKey: ['credential-runs', id],
    queryFn: async ({ signal }): Promise<Run[]> => {
      const params = { path: { id }, query: { limit: 20 } };
      const page = await unwrap(api.GET('/api/v1/credentials/{id}/runs', { params, signal }));
      return page.items;
    },
    staleTime: 0,
  });

export interface NewCredential {
  name: string;
  value: string;
  app?: number;
  shared: boolean;
  repo?: string;
}

export function register(body: NewCredential): Promise<Accepted> {
  return changed(api.POST('/api/v1/credentials', { body }));
}

export function rotate(id: string, value: string): Promise<Accepted> {
  const params = { path: { id } };
  return changed(api.POST('/api/v1/credentials/{id}/rotate', { params, body: { value } }));
}

export function verify(id: string, repo: string): Promise<Accepted> {
  const params = { path: { id } };
  const body = repo ? { repo } : {};
  return changed(api.POST('/api/v1/credentials/{id}/verify', { params, body }));
}

export function revoke(id: string): Promise<Accepted> {
  return changed(api.DELETE('/api/v1/credentials/{id}', { params: { path: { id } } }));
}

/** Sends a command, and reads the list with its effect: the list is what is committed. */
async function changed(
  answer: Promise<{ data?: Accepted; error?: unknown; response: Response }>,
): Promise<Accepted> {
  const accepted = await unwrap(answer);
  await queryClient.invalidateQueries({ queryKey: KEY });
  return accepted;
}
