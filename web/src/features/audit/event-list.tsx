import { useInfiniteQuery } from '@tanstack/react-query';
import { ScrollText } from 'lucide-react';
import { type AuditEvent, eventsQuery, type Filter } from '@/features/audit/query';
import { Badge } from '@/ui/badge';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { cx } from '@/ui/cx';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';

interface EventListProps {
  filter: Filter;
  chosen: number | undefined;
  onOpen(position: number): void;
}

export function EventList({ filter, chosen, onOpen }: EventListProps) {
  const events = useInfiniteQuery(eventsQuery(filter));
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card title="Events" aside={<span className="text-xs text-soft">the newest first</span>}>
      {events.isPending && <Skeleton rows={6} />}
      {events.isError && (
        <ErrorState error={events.error} what="the events" retry={() => void events.refetch()} />
      )}
      {events.isSuccess && items.length === 0 && (
        <EmptyState icon={ScrollText} title="Nothing was recorded that fits">
          Ask for less: another time, or without the type.
        </EmptyState>
      )}
      <ul>
        {items.map((event) => (
          <li key={event.id} className="border-b border-line last:border-0">
            <EventRow event={event} chosen={event.position === chosen} onOpen={onOpen} />
          </li>
        ))}
      </ul>
      {events.hasNextPage && (
        <div className="p-3 text-center">
          <Button busy={events.isFetchingNextPage} onPress={() => void events.fetchNextPage()}>
            Older ones
          </Button>
        </div>
      )}
    </Card>
  );
}

/** One event in a line or two; a button, as it opens. */
export function EventRow({
  event,
  chosen = false,
  onOpen,
}: {
  event: AuditEvent;
  chosen?: boolean;
  onOpen(position: number): void;
}) {
  const { position } = event;
  return (
    <button
      type="button"
      aria-current={chosen}
      disabled={!position}
      onClick={() => position && onOpen(position)}
      className={cx(
        'flex w-full cursor-pointer items-baseline gap-3 px-4 py-2 text-left text-sm hover:bg-sunken',
        chosen && 'bg-accent-soft',
      )}
    >
      <span className="w-14 shrink-0 text-right text-xs text-soft tabular-nums">{position}</span>
      <span className="min-w-0 flex-1">
        <span className="flex flex-wrap items-center gap-2">
          <code className="font-medium break-all">{event.type}</code>
          {event.outcome === 'refused' && <Badge tone="bad">Refused</Badge>}
        </span>
        <span className="block truncate text-xs text-soft">
          {event.actor_name ?? event.actor}
          {event.target && ` · ${event.target}`}
        </span>
      </span>
      <span className="text-xs text-soft">
        <RelativeTime at={event.time} />
      </span>
    </button>
  );
}
