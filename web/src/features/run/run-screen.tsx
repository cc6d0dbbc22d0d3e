import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Play, Search } from 'lucide-react';
import { lazy, Suspense, useRef, useState } from 'react';
import { useTopic } from '@/api/live/hooks';
import type { RunMessage } from '@/api/live/protocol';
import { queryClient, runQuery, sessionQuery } from '@/api/query';
import type { Run } from '@/api/types';
import { AskCard } from '@/features/asks/ask-card';
import { Composer } from '@/features/run/composer';
import { RunActions } from '@/features/run/run-actions';
import { RunPull } from '@/features/run/run-pull';
import { Tabs } from '@/features/run/tabs';
import { eventsQuery } from '@/features/run/timeline-query';
import { SessionMenu } from '@/features/sessions/session-menu';
import { StateBadge } from '@/features/sessions/state-badge';
import { useShortcuts } from '@/features/shell/shortcuts';
import { Transcript } from '@/features/transcript/transcript';
import { count, money } from '@/lib/format';
import { line } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { IconButton } from '@/ui/button';
import { ErrorState, Skeleton } from '@/ui/state';
import { Elapsed, RelativeTime } from '@/ui/time';

const Changes = lazy(() =>
  import('@/features/run/changes').then((all) => ({ default: all.Changes })),
);
const Timeline = lazy(() =>
  import('@/features/run/timeline').then((all) => ({ default: all.Timeline })),
);
const Egress = lazy(() => import('@/features/run/egress').then((all) => ({ default: all.Egress })));
const Artifacts = lazy(() =>
  import('@/features/run/artifacts').then((all) => ({ default: all.Artifacts })),
);

const TABS = [
  ['transcript', 'Transcript'],
  ['changes', 'Changes'],
  ['timeline', 'Time line'],
  ['egress', 'Egress'],
  ['artifacts', 'Artifacts'],
] as const;

const route = getRouteApi('/runs/$id');

/** One run: how it stands and why, what the agent says, what came of it. */
export function RunScreen() {
  const { id } = route.useParams();
  const run = useQuery(runQuery(id));
  if (run.isPending) return <Skeleton rows={5} label="Loading the run" />;
  if (run.isError)
    return <ErrorState error={run.error} what="the run" retry={() => void run.refetch()} />;
  return <Screen key={id} run={run.data} />;
}

function Screen({ run }: { run: Run }) {
  const { tab = 'transcript' } = route.useSearch();
  const navigate = route.useNavigate();
  const session = useQuery(sessionQuery(run.session_id));
  useTopic(`run:${run.id}`, run.version, ({ data }) => {
    const { run: changed, events } = data as RunMessage;
    queryClient.setQueryData(runQuery(run.id).queryKey, changed);
    queryClient.setQueryData(eventsQuery(run.id).queryKey, (before) => {
      if (!before) return before;
      const newest = before.at(-1)?.version ?? 0;
      return [...before, ...events.filter(({ version }) => version > newest)];
    });
    if (changed.finished_at || changed.pull_request) {
      void queryClient.invalidateQueries({ queryKey: sessionQuery(run.session_id).queryKey });
    }
  });
  const [finding, setFinding] = useState(false);
  const asks = useRef<HTMLDivElement>(null);
  const go = (to: string) =>
    void navigate({ search: to === 'transcript' ? {} : { tab: to }, replace: true });
  const find = () => {
    go('transcript');
    setFinding(true);
  };
  useShortcuts({
    ...Object.fromEntries(
      TABS.map(([name, label], index) => [
        String(index + 1),
        { label, group: 'This run', run: () => go(name) },
      ]),
    ),
    '/': { label: 'Find in the transcript', group: 'This run', run: find },
    ...(run.inputs.length > 0 && {
      a: {
        label: 'Answer the agent',
        group: 'This run',
        run: () => asks.current?.querySelector<HTMLElement>('button, input, textarea')?.focus(),
      },
    }),
    ...(run.allowed_actions.includes('prompt') && {
      p: {
        label: 'Say more to the agent',
        group: 'This run',
        run: () =>
          document.querySelector<HTMLElement>('#composer textarea, #composer input')?.focus(),
      },
    }),
  });
  const selected = TABS.find(([name]) => name === tab)?.[0] ?? 'transcript';
  const title = session.data?.title ?? run.prompt ?? run.branch;
  const ended = run.finished_at != null;
  return (
    <div className="flex h-full flex-col">
      <header className="border-b border-line bg-surface px-4 py-3">
        <div className="flex flex-wrap items-start gap-x-4 gap-y-2">
          <div className="min-w-60 flex-1">
            <h1 className="text-lg leading-6 font-semibold break-words">{line(title, 160)}</h1>
            <p className="truncate text-xs text-soft">
              <Link
                to="/sessions/$id"
                params={{ id: run.session_id }}
                className="underline-offset-2 hover:underline"
              >
                {run.repo}
                {run.issue != null && ` #${run.issue}`}
              </Link>{' '}
              · <span className="font-mono text-2xs">{run.branch}</span> onto{' '}
              <span className="font-mono text-2xs">{run.base}</span>
            </p>
          </div>
          <RunActions run={run} />
          {session.data && <SessionMenu session={session.data} />}
        </div>
        <div className="mt-2 flex flex-wrap items-center gap-x-3 gap-y-1.5 text-sm" role="status">
          <StateBadge state={run.state} />
          {run.reason && <span className="min-w-0 break-words">{line(run.reason, 400)}</span>}
          <span className="text-xs text-soft">
            {ended ? (
              <>
                <RelativeTime at={run.finished_at ?? run.since} />, after{' '}
                <Elapsed from={run.started_at ?? run.created_at} to={run.finished_at} />
              </>
            ) : (
              <>
                for <Elapsed from={run.since} />
              </>
            )}
          </span>
          {run.state === 'idle' && run.idle_until && (
            <span className="text-xs text-soft">
              stays until <RelativeTime at={run.idle_until} />
            </span>
          )}
          <RunPull pull={session.data?.pull_request ?? null} opened={run.pull_request ?? null} />
          <span className="text-xs text-soft tabular-nums">
            {count(run.usage.input_tokens)} in, {count(run.usage.output_tokens)} out ·{' '}
            {money(run.usage.cost_micro_usd)}
          </span>
          {run.missing_limits.length > 0 && (
            <Badge tone="attention">not enforced here: {run.missing_limits.join(', ')}</Badge>
          )}
        </div>
      </header>
      {run.inputs.length > 0 && (
        <div
          ref={asks}
          className="flex max-h-[55vh] shrink-0 flex-col gap-2 overflow-auto border-b border-line p-3"
        >
          {run.inputs.map((input) => (
            <AskCard key={input.id} input={input} may={run.allowed_actions.includes('answer')} />
          ))}
        </div>
      )}
      <Tabs
        label="Of this run"
        tabs={TABS}
        selected={selected}
        onSelect={go}
        aside={
          <IconButton icon={Search} label="Find in the transcript" shortcut="/" onPress={find} />
        }
      >
        {selected === 'transcript' ? (
          <Transcript run={run} finding={finding} onFound={() => setFinding(false)} />
        ) : (
          <div key={selected} tabIndex={0} className="h-full overflow-auto -outline-offset-2">
            <Suspense fallback={<Skeleton rows={4} />}>
              {selected === 'changes' && <Changes run={run} />}
              {selected === 'timeline' && <Timeline run={run} />}
              {selected === 'egress' && <Egress run={run} />}
              {selected === 'artifacts' && <Artifacts run={run} />}
            </Suspense>
          </div>
        )}
      </Tabs>
      {run.allowed_actions.includes('prompt') && <Composer run={run} />}
      {ended && session.data?.allowed_actions.includes('start') && (
        <div className="flex items-center gap-3 border-t border-line bg-surface px-4 py-2.5">
          <Link
            to="/new"
            search={{ session: run.session_id }}
            className="flex h-8 items-center gap-1.5 rounded-md bg-accent px-3 text-sm font-medium text-on-accent"
          >
            <Play aria-hidden className="size-4" />
            Go on with another prompt
          </Link>
          <span className="text-xs text-soft max-sm:hidden">
            Its files and its conversation are kept: the next run goes on from there.
          </span>
        </div>
      )}
    </div>
  );
}
