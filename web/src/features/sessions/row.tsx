import { Link } from '@tanstack/react-router';
import { GitBranch } from 'lucide-react';
import { memo } from 'react';
import type { Session } from '@/api/types';
import { AskCard } from '@/features/asks/ask-card';
import { askLine, askOf } from '@/features/asks/detail';
import { PullBadge, StateBadge } from '@/features/sessions/state-badge';
import { money } from '@/lib/format';
import { line } from '@/lib/safe';
import { cx } from '@/ui/cx';
import { RelativeTime } from '@/ui/time';

interface RowProps {
  session: Session;
  active: boolean;
  /** Whether what it asks can be answered right here. */
  open: boolean;
}

/** A session in the list: what it is about, how it stands and why, what happened last. */
export const SessionRow = memo(function SessionRow({ session, active, open }: RowProps) {
  const run = session.active_run ?? session.last_run;
  const ask = session.inputs[0];
  const reason = ask ? askLine(askOf(ask)) : session.reason;
  return (
    <article
      aria-current={active || undefined}
      className={cx(
        'flex flex-col gap-2 border-l-2 px-4 py-2.5',
        active ? 'border-accent bg-accent-soft/50' : 'border-transparent hover:bg-sunken/60',
      )}
    >
      <div className="grid grid-cols-[minmax(0,1fr)_auto] items-baseline gap-x-4 gap-y-0.5">
        <h3 className="truncate font-medium">
          <Link
            to={run ? '/runs/$id' : '/sessions/$id'}
            params={{ id: run?.id ?? session.id }}
            className="hover:underline"
          >
            {session.title ? (
              line(session.title)
            ) : (
              <em className="text-soft">Its title was erased</em>
            )}
          </Link>
        </h3>
        <div className="flex items-center gap-2">
          {session.pull_request && <PullBadge pull={session.pull_request} />}
          <StateBadge state={session.state} />
        </div>
        <p className="flex min-w-0 items-center gap-1.5 text-xs text-soft">
          <span className="truncate">{session.repo}</span>
          {session.issue != null && <span>#{session.issue}</span>}
          <GitBranch aria-hidden className="size-3 shrink-0" />
          <span className="truncate font-mono text-2xs">{session.branch}</span>
        </p>
        <p className="text-right text-xs text-faint tabular-nums">
          {session.usage.cost_micro_usd > 0 && (
            <span className="mr-2">{money(session.usage.cost_micro_usd)}</span>
          )}
          <RelativeTime at={session.last.at} />
        </p>
        <p className="col-span-2 truncate text-xs text-soft">
          {reason && <span className={cx('mr-2', ask && 'text-attention')}>{line(reason)}</span>}
          {session.group !== 'done' && reason && (
            <span className="mr-2 text-faint">
              since <RelativeTime at={session.since} />
            </span>
          )}
          <span className="text-faint">{line(session.last.text)}</span>
        </p>
      </div>
      {open &&
        session.inputs.map((input) => (
          <AskCard
            key={input.id}
            input={input}
            may={session.active_run?.allowed_actions.includes('answer') ?? false}
            compact
          />
        ))}
    </article>
  );
});
