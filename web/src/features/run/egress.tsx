import { useInfiniteQuery } from '@tanstack/react-query';
import { Check, ShieldBan, ShieldCheck } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { Decision, Run } from '@/api/types';
import { RunCredential } from '@/features/run/credential';
import { EgressMode } from '@/features/run/egress-mode';
import { bytes } from '@/lib/format';
import { line } from '@/lib/safe';
import { duration } from '@/lib/time';
import { Button } from '@/ui/button';
import { cx } from '@/ui/cx';
import { Switch } from '@/ui/field';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';

/** What the run reached, what it was refused, and by which rule. */
export function Egress({ run }: { run: Run }) {
  const [refusedOnly, setRefusedOnly] = useState(false);
  const decisions = useInfiniteQuery({
    queryKey: ['run', run.id, 'egress'],
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET('/api/v1/runs/{id}/egress', {
          params: {
            path: { id: run.id },
            query: { limit: 200, ...(pageParam ? { cursor: pageParam } : {}) },
          },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: run.finished_at ? false : 5_000,
  });
  if (decisions.isPending) return <Skeleton rows={4} label="Loading what was reached" />;
  if (decisions.isError) {
    return (
      <ErrorState
        error={decisions.error}
        what="the decisions"
        retry={() => void decisions.refetch()}
      />
    );
  }
  const all = decisions.data.pages.flatMap((page) => page.items);
  const shown = refusedOnly ? all.filter(({ verdict }) => verdict === 'refused') : all;
  return (
    <div className="mx-auto flex max-w-5xl flex-col gap-3 p-4">
      <EgressMode run={run} />
      <RunCredential run={run} />
      <p className="flex items-center gap-2 text-soft">
        <ShieldCheck aria-hidden className="size-4 text-good" />
        {run.fence.length > 0
          ? `The fence was proven from inside: ${run.fence.map(({ target, verdict }) => `${target} ${verdict.replaceAll('_', ' ')}`).join(', ')}.`
          : 'The fence is proven before the agent starts.'}
      </p>
      {all.length === 0 ? (
        <EmptyState icon={ShieldCheck} title="Nothing left the sandbox">
          Every connection that is tried is shown here, allowed or refused.
        </EmptyState>
      ) : (
        <>
          <Switch selected={refusedOnly} onChange={setRefusedOnly}>
            Refused only
          </Switch>
          <div className="overflow-x-auto rounded-lg border border-line bg-surface">
            <table className="w-full text-sm">
              <thead className="text-left text-xs text-soft">
                <tr>
                  {['', 'Where', 'How', 'Rule', 'Up', 'Down', 'Took', 'When'].map((heading) => (
                    <th
                      key={heading}
                      scope="col"
                      className="px-3 py-2 font-medium whitespace-nowrap"
                    >
                      {heading || <span className="sr-only">Verdict</span>}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {shown.map((decision) => (
                  <Row key={decision.id} decision={decision} />
                ))}
              </tbody>
            </table>
          </div>
          {decisions.hasNextPage && (
            <div className="text-center">
              <Button
                busy={decisions.isFetchingNextPage}
                onPress={() => void decisions.fetchNextPage()}
              >
                More
              </Button>
            </div>
          )}
        </>
      )}
    </div>
  );
}

function Row({ decision }: { decision: Decision }) {
  const refused = decision.verdict === 'refused';
  const Icon = refused ? ShieldBan : Check;
  return (
    <tr className="border-t border-line">
      <td className={cx('px-3 py-1.5', refused ? 'text-bad' : 'text-good')}>
        <Icon className="size-4" aria-label={decision.verdict} />
      </td>
      <td className="px-3 py-1.5 font-mono text-xs break-all">
        {line(decision.host)}:{decision.port}
      </td>
      <td className="px-3 py-1.5">
        {decision.kind}
        {decision.status != null && <span className="text-soft"> {decision.status}</span>}
      </td>
      <td className="px-3 py-1.5">{line(decision.rule)}</td>
      <td className="px-3 py-1.5 whitespace-nowrap tabular-nums">{bytes(decision.bytes_up)}</td>
      <td className="px-3 py-1.5 whitespace-nowrap tabular-nums">{bytes(decision.bytes_down)}</td>
      <td className="px-3 py-1.5 whitespace-nowrap tabular-nums">
        {duration(decision.duration_ms)}
      </td>
      <td className="px-3 py-1.5 text-xs text-soft">
        <RelativeTime at={decision.at} />
      </td>
    </tr>
  );
}
