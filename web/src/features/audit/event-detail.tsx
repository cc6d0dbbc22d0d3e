import { useQuery } from '@tanstack/react-query';
import { Filter as FilterIcon, ShieldAlert, ShieldCheck, X } from 'lucide-react';
import { api, unwrap } from '@/api/client';
import { asProblem } from '@/api/problem';
import { EventRow } from '@/features/audit/event-list';
import { fromHex, includes, isOf, leafOf, toHex } from '@/features/audit/proof';
import {
  type AuditEvent,
  type AuditStory,
  type Filter,
  heldQuery,
  storyQuery,
} from '@/features/audit/query';
import { harmless } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { Button, IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';

interface EventDetailProps {
  position: number;
  onOpen(position: number): void;
  onFilter(filter: Filter): void;
  onClose(): void;
}

/** One event: its cause, its effects, and the proof that it is in what was signed. */
export function EventDetail({ position, onOpen, onFilter, onClose }: EventDetailProps) {
  const story = useQuery(storyQuery(position));
  return (
    <Card
      title={`Event ${position}`}
      aside={<IconButton icon={X} label="Close" onPress={onClose} />}
      className="lg:sticky lg:top-4"
    >
      {story.isPending && <Skeleton rows={4} />}
      {story.isError && (
        <ErrorState error={story.error} what="the event" retry={() => void story.refetch()} />
      )}
      {story.data && (
        <div className="flex flex-col gap-4 p-4">
          <What event={story.data.event} onFilter={onFilter} />
          <Proof position={position} story={story.data} />
          <Texts story={story.data} />
          <div>
            <h3 className="mb-1 text-sm font-medium">As it was recorded</h3>
            <pre tabIndex={0} className="max-h-64 overflow-auto rounded-md bg-sunken p-2 text-xs">
              {harmless(JSON.stringify(story.data.event.body, null, 2))}
            </pre>
          </div>
          <Events title="What came before" events={before(story.data)} onOpen={onOpen} />
          <Events title="By the same command" events={story.data.command} onOpen={onOpen} />
          <Events title="What came of it" events={after(story.data)} onOpen={onOpen} />
        </div>
      )}
    </Card>
  );
}

const before = (story: AuditStory) => (story.before ? [story.before] : []);

/** Each once, in the order of their positions. */
function after(story: AuditStory): AuditEvent[] {
  const shown = new Set(story.command.map((event) => event.id));
  const all = [...story.after, ...story.elsewhere].filter((event) => !shown.has(event.id));
  return all.toSorted((one, other) => (one.position ?? 0) - (other.position ?? 0));
}

function What({ event, onFilter }: { event: AuditEvent; onFilter(filter: Filter): void }) {
  return (
    <dl className="grid grid-cols-[auto_1fr_auto] items-center gap-x-3 gap-y-1 text-sm">
      <dt className="text-soft">What</dt>
      <dd className="col-span-2 flex flex-wrap items-center gap-2">
        <code className="font-medium break-all">{event.type}</code>
        {event.outcome === 'refused' ? (
          <Badge tone="bad">Refused</Badge>
        ) : (
          <Badge tone="good">Accepted</Badge>
        )}
      </dd>
      <dt className="text-soft">When</dt>
      <dd className="col-span-2">
        <RelativeTime at={event.time} /> <span className="text-xs text-soft">{event.time}</span>
      </dd>
      <dt className="text-soft">By</dt>
      <dd className="min-w-0 break-all">
        {event.actor_name && `${event.actor_name}, `}
        <code>{event.actor}</code>
      </dd>
      <dd>
        <IconButton
          icon={FilterIcon}
          label="All by the same"
          onPress={() => onFilter({ actor: event.actor })}
        />
      </dd>
      {event.target && (
        <>
          <dt className="text-soft">About</dt>
          <dd className="min-w-0 break-all">
            <code>{event.target}</code>
          </dd>
          <dd>
            <IconButton
              icon={FilterIcon}
              label="All about the same"
              onPress={() => event.target && onFilter({ target: event.target })}
            />
          </dd>
        </>
      )}
    </dl>
  );
}

function Texts({ story }: { story: AuditStory }) {
  if (story.texts.length === 0) return null;
  return (
    <div>
      <h3 className="mb-1 text-sm font-medium">Texts</h3>
      <ul className="flex flex-col gap-2">
        {story.texts.map((text) => (
          <li key={text.id} className="rounded-md border border-line p-2 text-sm">
            {text.text === null || text.text === undefined ? (
              <span className="text-soft">Erased. What commits to it stays.</span>
            ) : (
              <span className="whitespace-pre-wrap break-words">{harmless(text.text)}</span>
            )}
            <code className="mt-1 block text-xs break-all text-soft">{text.id}</code>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Fetches the proof and verifies it here, against the checkpoint that this browser holds the server to. */
function Proof({ position, story }: { position: number; story: AuditStory }) {
  const held = useQuery(heldQuery);
  const signed = held.data && !held.data.breach ? held.data.checkpoint : undefined;
  const covered = signed !== undefined && position <= signed.size;
  const proof = useQuery({
    queryKey: ['audit', 'proof', position, signed?.size],
    enabled: covered,
    queryFn: async () => {
      if (!signed) throw new Error('nothing is signed');
      const query = { position, size: signed.size };
      const given = await unwrap(api.GET('/api/v1/audit/proof/inclusion', { params: { query } }));
      const leaf = await leafOf(story.entry);
      const shown = await isOf(story.entry, story.stored);
      const within = await includes(
        position,
        signed.size,
        leaf,
        given.hashes.map(fromHex),
        signed.root,
      );
      return { holds: shown && within, leaf: toHex(leaf), hashes: given.hashes.length };
    },
  });
  if (held.data?.breach) {
    return <p className="text-sm text-bad">Nothing is proven by a log that is another one.</p>;
  }
  if (held.isError) {
    return (
      <p className="text-sm text-soft">It cannot be proven: {asProblem(held.error).message}</p>
    );
  }
  if (signed && !covered) {
    return (
      <div className="flex items-center gap-2 text-sm text-soft">
        It is not signed yet.
        <Button small onPress={() => void held.refetch()}>
          Look again
        </Button>
      </div>
    );
  }
  if (proof.isError) {
    return (
      <p className="text-sm text-bad">It could not be proven: {asProblem(proof.error).message}</p>
    );
  }
  if (!proof.data) return <Skeleton rows={1} label="Verifying the proof" />;
  if (!proof.data.holds) {
    return (
      <p
        role="alert"
        className="flex items-center gap-2 rounded-md bg-bad-soft p-2 text-sm text-bad"
      >
        <ShieldAlert aria-hidden className="size-4 shrink-0" />
        The proof does not hold: what is shown here is not what was signed.
      </p>
    );
  }
  return (
    <div role="status" className="flex items-start gap-2 rounded-md bg-good-soft p-2 text-sm">
      <ShieldCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-good" />
      <div className="min-w-0">
        <p>
          Proven in this browser to be in the {signed?.size.toLocaleString()} positions that are
          signed, by {proof.data.hashes} hashes.
        </p>
        <code className="block truncate text-xs text-soft" title={proof.data.leaf}>
          leaf {proof.data.leaf}
        </code>
      </div>
    </div>
  );
}

function Events({
  title,
  events,
  onOpen,
}: {
  title: string;
  events: AuditEvent[];
  onOpen(position: number): void;
}) {
  if (events.length === 0) return null;
  return (
    <div>
      <h3 className="mb-1 text-sm font-medium">{title}</h3>
      <ul className="-mx-4">
        {events.map((event) => (
          <li key={event.id}>
            <EventRow event={event} onOpen={onOpen} />
          </li>
        ))}
      </ul>
    </div>
  );
}
