import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Play } from 'lucide-react';
import { useTopic } from '@/api/live/hooks';
import type { SessionMessage } from '@/api/live/protocol';
import { queryClient, sessionQuery, sessionRunsQuery } from '@/api/query';
import { SessionMenu } from '@/features/sessions/session-menu';
import { PullBadge, StateBadge } from '@/features/sessions/state-badge';
import { count, money } from '@/lib/format';
import { line } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { Card } from '@/ui/card';
import { ErrorState, Skeleton } from '@/ui/state';
import { Elapsed, RelativeTime } from '@/ui/time';

const route = getRouteApi('/sessions/$id');

/** A session: its runs, one after the other. */
export function SessionScreen() {
  const { id } = route.useParams();
  const session = useQuery(sessionQuery(id));
  const runs = useQuery(sessionRunsQuery(id));
  useTopic('sessions', undefined, ({ data }) => {
    const { session: changed } = data as SessionMessage;
    if (changed?.id !== id) return;
    queryClient.setQueryData(sessionQuery(id).queryKey, changed);
    void queryClient.invalidateQueries({ queryKey: sessionRunsQuery(id).queryKey });
  });
  if (session.isPending) return <Skeleton rows={4} label="Loading the session" />;
  if (session.isError) {
    return (
      <ErrorState error={session.error} what="the session" retry={() => void session.refetch()} />
    );
  }
  const { title, repo, branch, base, issue, usage, pull_request: pull, archived } = session.data;
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6">
      <header className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h1 className="text-xl font-semibold break-words">{line(title ?? branch)}</h1>
          <p className="text-soft">
            {repo}
            {issue != null && ` #${issue}`} · <code className="font-mono text-xs">{branch}</code>{' '}
            onto <code className="font-mono text-xs">{base}</code>
          </p>
          <p className="mt-2 flex flex-wrap items-center gap-2">
            <StateBadge state={session.data.state} />
            {pull && <PullBadge pull={pull} />}
            {archived && <Badge>Archived</Badge>}
            <span className="text-xs text-soft">
              {count(usage.input_tokens + usage.output_tokens)} tokens,{' '}
              {money(usage.cost_micro_usd)}
            </span>
          </p>
        </div>
        {session.data.allowed_actions.includes('start') && (
          <Link
            to="/new"
            search={{ session: id }}
            className="flex h-8 shrink-0 items-center gap-1.5 rounded-md bg-accent px-3 text-sm font-medium text-on-accent"
          >
            <Play aria-hidden className="size-4" />
            Another run
          </Link>
        )}
        <SessionMenu session={session.data} />
      </header>
      <Card title="Runs">
        {runs.isPending && <Skeleton rows={2} />}
        {runs.isError && (
          <ErrorState error={runs.error} what="the runs" retry={() => void runs.refetch()} />
        )}
        {runs.data?.items.length === 0 && <p className="p-4 text-soft">None was started yet.</p>}
        <ol>
          {runs.data?.items.map((run) => (
            <li
              key={run.id}
              className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-0"
            >
              <div className="min-w-0 flex-1">
                <Link
                  to="/runs/$id"
                  params={{ id: run.id }}
                  className="block truncate font-medium hover:underline"
                >
                  {line(run.prompt ?? 'Its prompt was erased')}
                </Link>
                <p className="truncate text-xs text-soft">
                  <RelativeTime at={run.created_at} /> ·{' '}
                  <Elapsed from={run.started_at ?? run.created_at} to={run.finished_at} />
                  {run.reason && ` · ${line(run.reason)}`}
                </p>
              </div>
              <StateBadge state={run.state} />
            </li>
          ))}
        </ol>
      </Card>
    </div>
  );
}
