import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { TimelineItem } from '@/api/types';

/** All events of a run, in order. */
export const eventsQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id, 'events'],
    queryFn: async ({ signal }): Promise<TimelineItem[]> => {
      const items: TimelineItem[] = [];
      let cursor: string | undefined;
      do {
        const page: { items: TimelineItem[]; next?: string | null } = await unwrap(
          api.GET('/api/v1/runs/{id}/events', {
            params: { path: { id }, query: { limit: 200, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        );
        items.push(...page.items);
        cursor = page.next ?? undefined;
      } while (cursor);
      return items;
    },
  });
