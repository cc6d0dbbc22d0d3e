import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Download, GitFork, Package } from 'lucide-react';
import { api, unwrap } from '@/api/client';
import { sessionQuery } from '@/api/query';
import type { Run } from '@/api/types';
import { forkSession } from '@/features/sessions/actions';
import { bytes } from '@/lib/format';
import { line } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { Button } from '@/ui/button';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';
import { failed } from '@/ui/toast';

/** The snapshots of the session: what each came from, and what can be done with it. */
export function Artifacts({ run }: { run: Run }) {
  const navigate = useNavigate();
  const session = useQuery(sessionQuery(run.session_id));
  const artifacts = useQuery({
    queryKey: ['session', run.session_id, 'artifacts', run.state],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/sessions/{id}/artifacts', {
          params: { path: { id: run.session_id }, query: { limit: 200 } },
          signal,
        }),
      ),
  });
  if (artifacts.isPending) return <Skeleton rows={3} label="Loading the snapshots" />;
  if (artifacts.isError) {
    return (
      <ErrorState
        error={artifacts.error}
        what="the snapshots"
        retry={() => void artifacts.refetch()}
      />
    );
  }
  const { items } = artifacts.data;
  if (items.length === 0) {
    return (
      <EmptyState icon={Package} title="No snapshot yet">
        The first is made when the agent has ended its turn: its conversation and its files, to go
        on from.
      </EmptyState>
    );
  }
  const canFork = session.data?.allowed_actions.includes('fork') ?? false;
  return (
    <ul className="mx-auto flex max-w-4xl flex-col gap-2 p-4">
      {items.map((artifact) => (
        <li
          key={artifact.id}
          className="flex flex-wrap items-center gap-3 rounded-lg border border-line bg-surface px-3 py-2.5"
        >
          <Package aria-hidden className="size-4 shrink-0 text-soft" />
          <div className="min-w-48 flex-1">
            <p className="flex flex-wrap items-center gap-2 font-mono text-xs">
              {artifact.digest.slice(0, 12)}
              {session.data?.head === artifact.digest && (
                <Badge tone="accent">goes on from here</Badge>
              )}
              {artifact.run_id === run.id && <Badge>of this run</Badge>}
            </p>
            <p className="text-xs text-soft">
              {bytes(artifact.size)} · commit {artifact.git_head.slice(0, 12)} ·{' '}
              {artifact.parent ? `from ${artifact.parent.slice(0, 12)}` : 'the first'} ·{' '}
              <RelativeTime at={artifact.stored_at} />
            </p>
          </div>
          <a
            href={`/api/v1/artifacts/${artifact.id}/content`}
            download
            className="inline-flex h-7 items-center gap-1.5 rounded-md px-2 text-xs font-medium text-soft hover:bg-sunken hover:text-text"
          >
            <Download aria-hidden className="size-4" />
            Download
          </a>
          {canFork && (
            <Button
              small
              look="quiet"
              icon={GitFork}
              onPress={async () => {
                try {
                  const title = line(`${session.data?.title ?? run.branch} (fork)`, 120);
                  const fork = await forkSession(run.session_id, title, artifact.digest);
                  await navigate({ to: '/new', search: { session: fork } });
                } catch (error) {
                  failed(error);
                }
              }}
            >
              Fork from here
            </Button>
          )}
        </li>
      ))}
    </ul>
  );
}
