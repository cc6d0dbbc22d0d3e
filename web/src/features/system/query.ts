import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';

export const systemQuery = queryOptions({
  queryKey: ['system'],
  queryFn: ({ signal }) => unwrap(api.GET('/api/v1/system', { signal })),
  staleTime: 2_000,
});
