import { useQuery } from '@tanstack/react-query';
import type { Run, TimelineItem } from '@/api/types';
import { eventsQuery } from '@/features/run/timeline-query';
import { harmless, line } from '@/lib/safe';
import { duration, exact } from '@/lib/time';
import { cx } from '@/ui/cx';
import { ErrorState, Skeleton } from '@/ui/state';

/** Who causes events, in words. */
function who(actor: string, owner: string): string {
  const [kind = '', name = ''] = actor.split(':');
  if (kind === 'user') return name === owner ? 'you' : `user ${name.slice(0, 8)}`;
  if (kind === 'system') return name.replaceAll('-', ' ');
  if (kind === 'pod') return 'its own workload';
  return line(actor, 60);
}

const BAD = /failed|lost|refused|cancelled/;

/** Every event of a run: what, who or what caused it, and how long it took until the next. */
export function Timeline({ run }: { run: Run }) {
  const events = useQuery(eventsQuery(run.id));
  if (events.isPending) return <Skeleton rows={6} label="Loading the time line" />;
  if (events.isError) {
    return (
      <ErrorState error={events.error} what="the time line" retry={() => void events.refetch()} />
    );
  }
  return (
    <ol className="mx-auto max-w-4xl p-4">
      {events.data.map((event, index) => (
        <Item
          key={event.version}
          event={event}
          next={events.data[index + 1]}
          owner={run.created_by}
        />
      ))}
    </ol>
  );
}

function Item({
  event,
  next,
  owner,
}: {
  event: TimelineItem;
  next: TimelineItem | undefined;
  owner: string;
}) {
  const time = Date.parse(event.time);
  const took = next ? Date.parse(next.time) - time : undefined;
  return (
    <li
      id={`event-${event.version}`}
      className="grid grid-cols-[5.5rem_1rem_minmax(0,1fr)] gap-x-3"
    >
      <time
        dateTime={event.time}
        title={exact(time)}
        className="pt-0.5 text-right text-xs text-faint tabular-nums"
      >
        {new Date(time).toLocaleTimeString(undefined, { hour12: false })}
      </time>
      <span aria-hidden className="flex flex-col items-center">
        <span
          className={cx(
            'mt-1.5 size-2 shrink-0 rounded-full',
            BAD.test(event.type) ? 'bg-bad' : 'bg-accent',
          )}
        />
        {next && <span className="w-px flex-1 bg-line" />}
      </span>
      <div className="pb-4">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className="font-medium">
            {event.type.replace(/^run\./, '').replaceAll(/[._-]/g, ' ')}
          </span>
          <span className="min-w-0 break-words text-soft">{line(event.summary, 400)}</span>
        </p>
        {event.text && (
          <p className="mt-1 max-h-40 overflow-auto rounded-md bg-sunken px-2.5 py-1.5 text-sm break-words whitespace-pre-wrap">
            {harmless(event.text)}
          </p>
        )}
        <p className="text-xs text-faint">
          by {who(event.actor, owner)}
          {took !== undefined && took >= 100 && <> · {duration(took)} until the next</>} · position{' '}
          {event.position}
        </p>
      </div>
    </li>
  );
}
