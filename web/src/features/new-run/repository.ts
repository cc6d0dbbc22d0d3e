import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, unwrap } from '@/api/client';

/** What was typed, once nothing more was typed for a moment. */
export function useSettled<T>(value: T, wait = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), wait);
    return () => clearTimeout(timer);
  }, [value, wait]);
  return settled;
}

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})\/[A-Za-z0-9._-]{1,100}$/;

/** `owner/name` in what was typed or pasted: an address of a repository or of an issue will do. */
export function repositoryIn(text: string): { repo: string; issue?: string } | undefined {
  const trimmed = text.trim().replace(/\.git$/, '');
  const address = /^(?:https?:\/\/[^/]+\/|git@[^:]+:)([^/]+\/[^/]+)(?:\/issues\/(\d+))?\/?$/.exec(
    trimmed,
  );
  const [, named, issue] = address ?? [];
  const repo = named ?? trimmed.replace(/^\/|\/$/g, '');
  if (!NAME.test(repo)) return undefined;
  return issue ? { repo, issue } : { repo };
}

const path = (repo: string) => {
  const [owner = '', name = ''] = repo.split('/');
  return { owner, name };
};

export function useRepository(repo: string | undefined) {
  return useQuery({
    queryKey: ['repository', repo],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/repositories/{owner}/{name}', {
          params: { path: path(repo ?? '') },
          signal,
        }),
      ),
    enabled: repo !== undefined,
    retry: false,
  });
}

export function useBranches(repo: string | undefined) {
  return useQuery({
    queryKey: ['repository', repo, 'branches'],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/repositories/{owner}/{name}/branches', {
          params: { path: path(repo ?? '') },
          signal,
        }),
      ),
    enabled: repo !== undefined,
    retry: false,
    placeholderData: keepPreviousData,
  });
}

export function useIssues(repo: string | undefined) {
  return useQuery({
    queryKey: ['repository', repo, 'issues'],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/repositories/{owner}/{name}/issues', {
          params: { path: path(repo ?? '') },
          signal,
        }),
      ),
    enabled: repo !== undefined,
    retry: false,
  });
}
