import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { Run, RunState, TimelineItem } from '@/api/types';
import { type Phase, phases } from '@/features/run/phases';
import { eventsQuery } from '@/features/run/timeline-query';
import { STATES } from '@/features/sessions/words';
import { harmless, line } from '@/lib/safe';
import { duration, exact, useNow } from '@/lib/time';
import { cx } from '@/ui/cx';
import { ErrorState, Skeleton } from '@/ui/state';

/** Who causes events, in words. */
function who(actor: string, known: string | null | undefined, owner: string): string {
  const [kind = '', name = ''] = actor.split(':');
  if (kind === 'user') return name === owner ? 'you' : `user ${name.slice(0, 8)}`;
  if (kind === 'system') return name.replaceAll('-', ' ');
  if (kind === 'pod') return 'its own workload';
  if (kind === 'kubernetes')
    return known ? `${line(known, 60)} on the cluster` : 'somebody on the cluster';
  return line(actor, 60);
}

const BAD = /failed|lost|refused|cancelled/;

const FILLS: Record<RunState, string> = {
  queued: 'bg-line-strong/50',
  provisioning: 'bg-info/50',
  restoring: 'bg-info',
  running: 'bg-accent',
  awaiting_input: 'bg-attention-line',
  idle: 'bg-line-strong',
  publishing: 'bg-merged',
  snapshotting: 'bg-merged/60',
  succeeded: 'bg-good',
  failed: 'bg-bad',
  cancelled: 'bg-line-strong',
};

/** Every event of a run by its phases: what, who or what caused it, and how long each phase took. */
export function Timeline({ run }: { run: Run }) {
  const events = useQuery(eventsQuery(run.id));
  const all = useMemo(() => phases(events.data ?? []), [events.data]);
  if (events.isPending) return <Skeleton rows={6} label="Loading the time line" />;
  if (events.isError) {
    return (
      <ErrorState error={events.error} what="the time line" retry={() => void events.refetch()} />
    );
  }
  return (
    <div className="mx-auto max-w-4xl p-4">
      <Bar all={all} />
      {all.map((phase) => (
        <PhaseView key={phase.events[0]?.version} phase={phase} owner={run.created_by} />
      ))}
    </div>
  );
}

function lasted({ from, to }: Phase, now: number): number {
  return Math.max(0, (to ?? now) - from);
}

/** Where the time went, at a glance. */
function Bar({ all }: { all: readonly Phase[] }) {
  const now = useNow();
  const total = all.reduce((sum, phase) => sum + lasted(phase, now), 0);
  if (total === 0) return null;
  const words = all
    .filter((phase) => lasted(phase, now) > 0)
    .map((phase) => `${STATES[phase.state].label} ${duration(lasted(phase, now))}`);
  return (
    <figure className="mb-5">
      <div
        role="img"
        aria-label={`Where the time went: ${words.join(', ')}`}
        className="flex h-2.5 gap-px overflow-hidden rounded-full"
      >
        {all.map((phase) => {
          const time = lasted(phase, now);
          if (time === 0) return null;
          return (
            <span
              key={phase.events[0]?.version}
              title={`${STATES[phase.state].label}: ${duration(time)}`}
              className={cx('min-w-1', FILLS[phase.state])}
              style={{ flexGrow: time / total, flexBasis: 0 }}
            />
          );
        })}
      </div>
      <figcaption className="mt-1.5 flex flex-wrap gap-x-4 gap-y-0.5 text-xs text-soft">
        {[...byState(all, now)].map(([state, time]) => (
          <span key={state} className="inline-flex items-center gap-1.5 tabular-nums">
            <span aria-hidden className={cx('size-2 rounded-full', FILLS[state])} />
            {STATES[state].label} {duration(time)}
          </span>
        ))}
        <span className="ml-auto font-medium tabular-nums">{duration(total)} in all</span>
      </figcaption>
    </figure>
  );
}

function byState(all: readonly Phase[], now: number): Map<Phase['state'], number> {
  const times = new Map<Phase['state'], number>();
  for (const phase of all) {
    const time = lasted(phase, now);
    if (time > 0) times.set(phase.state, (times.get(phase.state) ?? 0) + time);
  }
  return times;
}

function PhaseView({ phase, owner }: { phase: Phase; owner: string }) {
  const look = STATES[phase.state];
  const heading = `phase-${phase.events[0]?.version}`;
  return (
    <section aria-labelledby={heading} className="[content-visibility:auto]">
      <h2 id={heading} className="mb-2 flex items-center gap-2 text-sm font-semibold">
        <span aria-hidden className={cx('ml-1 size-2.5 rounded-full', FILLS[phase.state])} />
        {look.label}
        <Lasted phase={phase} />
      </h2>
      <ol className="mb-4 ml-2 border-l border-line pl-5">
        {phase.events.map((event) => (
          <Item key={event.version} event={event} begin={phase.from} owner={owner} />
        ))}
      </ol>
    </section>
  );
}

function Lasted({ phase }: { phase: Phase }) {
  const now = useNow();
  if (phase.to === phase.from) return null;
  return (
    <span className="font-normal text-soft tabular-nums">
      {phase.to === undefined && 'for '}
      {duration(lasted(phase, now))}
      {phase.to === undefined && ' so far'}
    </span>
  );
}

interface ItemProps {
  event: TimelineItem;
  begin: number;
  owner: string;
}

function Item({ event, begin, owner }: ItemProps) {
  const time = Date.parse(event.time);
  // The agent's name of a prompt says nothing to people: its text does.
  const summary = event.type === 'run.prompt.submitted' ? '' : line(event.summary, 400);
  return (
    <li
      id={`event-${event.version}`}
      className="grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 py-1 sm:grid-cols-[minmax(0,1fr)_9rem_8.5rem]"
    >
      <p className="min-w-0 break-words">
        <span className={cx('font-medium', BAD.test(event.type) && 'text-bad')}>
          {said(event.type)}
        </span>{' '}
        <span className="text-soft">{summary}</span>
      </p>
      <span className="truncate text-xs leading-5 text-soft max-sm:order-last max-sm:col-span-full">
        by {who(event.actor, event.actor_name, owner)}
      </span>
      <time
        dateTime={event.time}
        title={`${exact(time)}, position ${event.position} of the log`}
        className="text-right text-xs leading-5 text-faint tabular-nums"
      >
        {time - begin >= 1_000 && <span className="mr-2 text-soft">+{duration(time - begin)}</span>}
        {new Date(time).toLocaleTimeString(undefined, { hour12: false })}
      </time>
      {event.text && (
        <p className="col-span-full mt-1 max-h-40 overflow-auto rounded-md bg-sunken px-2.5 py-1.5 text-sm break-words whitespace-pre-wrap">
          {harmless(event.text)}
        </p>
      )}
    </li>
  );
}

/** "run.input.required" as people say it. */
function said(type: string): string {
  const words = type.replace(/^run\./, '').replaceAll(/[._-]/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
