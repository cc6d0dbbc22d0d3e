import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { Session } from '@/api/types';
import { useSessions } from '@/features/sessions/store';

/** What the server finds, beside what is here already: the old ones are not all loaded. */
export function useSearched(text: string): { byId: Map<string, Session>; loading: boolean } | null {
  const known = useSessions();
  const [settled, setSettled] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text.trim()), 200);
    return () => clearTimeout(timer);
  }, [text]);
  const found = useQuery({
    queryKey: ['sessions', 'search', settled],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/sessions', { params: { query: { q: settled, limit: 200 } }, signal }),
      ),
    enabled: settled !== '' && known.more !== null,
    staleTime: 10_000,
  });
  return useMemo(() => {
    if (text.trim() === '') return null;
    const byId = new Map(found.data?.items.map((session) => [session.id, session]));
    for (const session of known.byId.values()) byId.set(session.id, session);
    return { byId, loading: found.isFetching };
  }, [text, found.data, found.isFetching, known.byId]);
}
