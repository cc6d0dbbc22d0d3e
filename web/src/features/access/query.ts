import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, atLeast, unwrap } from '@/api/client';
import { meQuery, queryClient } from '@/api/query';
import type { Binding } from '@/api/types';

/** The roles that hold in one scope, or all of them. */
export const bindingsQuery = (scope?: string) =>
  queryOptions({
    queryKey: ['bindings', scope ?? 'all'],
    queryFn: ({ signal }) => readBindings(scope, undefined, signal),
    staleTime: 0,
  });

async function readBindings(
  scope: string | undefined,
  at_least: string | undefined,
  signal?: AbortSignal,
): Promise<Binding[]> {
  const all: Binding[] = [];
  let cursor: string | null | undefined;
  do {
    const query = {
      limit: 200,
      ...(scope ? { scope } : {}),
      ...(cursor ? { cursor } : {}),
      ...(at_least ? { at_least } : {}),
    };
    const page = await unwrap(
      api.GET('/api/v1/role-bindings', { params: { query }, ...(signal ? { signal } : {}) }),
    );
    all.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return all;
}

export interface NewRole {
  subject: string;
  role: string;
  scope: string;
  repositories?: string[];
}

/** Gives a role, and reads the list with it in. */
export async function grantRole(role: NewRole, list?: string): Promise<void> {
  const accepted = await unwrap(api.POST('/api/v1/role-bindings', { body: role }));
  const bindings = await readBindings(list, atLeast(accepted));
  queryClient.setQueryData(bindingsQuery(list).queryKey, bindings);
}

/** Takes a role, and reads the list without it. */
export async function revokeRole(id: string, list?: string): Promise<void> {
  const accepted = await unwrap(
    api.DELETE('/api/v1/role-bindings/{id}', { params: { path: { id } } }),
  );
  // It may have been one's own: then the list is no longer for one to see.
  try {
    const bindings = await readBindings(list, atLeast(accepted));
    queryClient.setQueryData(bindingsQuery(list).queryKey, bindings);
  } finally {
    void queryClient.invalidateQueries({ queryKey: meQuery.queryKey });
  }
}

/** Whether the server allows something of the installation itself, by its permanent name. */
export function useMay(action: string): boolean {
  return useQuery(meQuery).data?.allowed_actions.includes(action) ?? false;
}
