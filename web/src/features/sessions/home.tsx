import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { ChevronDown, ChevronRight, Columns2, Inbox, Plus, Search } from 'lucide-react';
import { useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import type { Session, SessionGroup } from '@/api/types';
import { FirstRun } from '@/features/first-run/first-run';
import { arrange, type Group, SORTS, type Sort } from '@/features/sessions/arrange';
import { Peek } from '@/features/sessions/peek';
import { SessionRow } from '@/features/sessions/row';
import { useSearched } from '@/features/sessions/search';
import { sessions, useSessions, useSessionsOf } from '@/features/sessions/store';
import { GROUPS } from '@/features/sessions/words';
import { useShortcuts } from '@/features/shell/shortcuts';
import { useStored } from '@/lib/stored';
import { Button } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Field } from '@/ui/field';
import { Spinner } from '@/ui/spinner';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { failed } from '@/ui/toast';

type Item =
  | { kind: 'heading'; group: Group; folded: boolean }
  | { kind: 'empty'; group: Group }
  | { kind: 'session'; session: Session }
  | { kind: 'more' };

const SORT_LABELS: Record<Sort, string> = {
  recent: 'Newest first',
  oldest: 'Oldest first',
  cost: 'Most expensive first',
  title: 'By title',
};

const route = getRouteApi('/');

/** Home: the sessions, by what they ask of you. */
export function Home() {
  const { q = '', peek } = route.useSearch();
  const navigate = useNavigate({ from: '/' });
  const known = useSessions();
  const [sort, setSort] = useStored<Sort>('sort', SORTS, 'recent');
  const [doneFolded, setDoneFolded] = useStored('done', ['auto', 'folded', 'open'], 'auto');
  const [folded, setFolded] = useState<ReadonlySet<SessionGroup>>(new Set());
  const search = useDeferredValue(q);
  const searched = useSearched(search);
  const groups = useMemo(
    () => arrange(searched ? searched.byId.values() : known.byId.values(), search, sort),
    [searched, known.byId, search, sort],
  );
  // What is done stays out of the way of what is not; where there is nothing else, it is what there is.
  const quiet = groups.every(({ id, sessions: of }) => id === 'done' || of.length === 0);
  const doneIsFolded = doneFolded === 'auto' ? !quiet : doneFolded === 'folded';
  const isFolded = (id: SessionGroup) =>
    search === '' && (id === 'done' ? doneIsFolded : folded.has(id));
  const toggle = (id: SessionGroup) => {
    if (id === 'done') setDoneFolded(doneIsFolded ? 'open' : 'folded');
    else {
      setFolded((before) => {
        const after = new Set(before);
        if (!after.delete(id)) after.add(id);
        return after;
      });
    }
  };
  const items = groups.flatMap((group): Item[] => {
    const closed = isFolded(group.id);
    // That nobody waits is worth a line; that another group is empty is not.
    if (group.sessions.length === 0 && (search !== '' || group.id !== 'needs_you')) return [];
    return [
      { kind: 'heading', group, folded: closed },
      ...(closed ? [] : group.sessions.map((session): Item => ({ kind: 'session', session }))),
      ...(group.sessions.length === 0 && !closed ? [{ kind: 'empty', group } as const] : []),
      ...(group.id === 'done' && !closed && known.more && !searched
        ? [{ kind: 'more' } as const]
        : []),
    ];
  });

  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (items[index]?.kind === 'session' ? 84 : 40),
    getItemKey: (index) => {
      const item = items[index];
      if (item?.kind === 'session') return item.session.id;
      return item && 'group' in item ? `${item.kind} ${item.group.id}` : 'more';
    },
    overscan: 6,
  });

  const rows = items.filter((item) => item.kind === 'session').map((item) => item.session);
  const at = rows.findIndex((session) => session.id === peek);
  const select = (session: Session | undefined) => {
    if (!session) return;
    void navigate({ search: (before) => ({ ...before, peek: session.id }), replace: true });
    const index = items.findIndex(
      (item) => item.kind === 'session' && item.session.id === session.id,
    );
    list.scrollToIndex(index, { align: 'auto' });
  };
  // Also where its group is folded, as that of a session whose run has just ended under one's eyes.
  const [chosen] = useSessionsOf(peek ? [peek] : []);
  const field = useRef<HTMLDivElement>(null);
  useShortcuts({
    j: { label: 'Next session', group: 'Sessions', run: () => select(rows[at + 1] ?? rows[0]) },
    k: {
      label: 'Session before',
      group: 'Sessions',
      run: () => select(rows[at - 1] ?? rows.at(-1)),
    },
    Enter: {
      label: 'Open the session',
      group: 'Sessions',
      run: () => {
        const run = chosen?.active_run ?? chosen?.last_run;
        if (run) void navigate({ to: '/runs/$id', params: { id: run.id } });
        else if (chosen) void navigate({ to: '/sessions/$id', params: { id: chosen.id } });
      },
    },
    a: {
      label: 'Answer what it asks',
      group: 'Sessions',
      run: () =>
        scroller.current?.querySelector<HTMLElement>('[aria-current] section button')?.focus(),
    },
    '/': {
      label: 'Search',
      group: 'Sessions',
      run: () => field.current?.querySelector('input')?.focus(),
    },
    Escape: {
      label: 'Close the peek',
      group: 'Sessions',
      run: () => void navigate({ search: { ...(q ? { q } : {}) }, replace: true }),
    },
  });

  const [typed, setTyped] = useState(q);
  useEffect(() => setTyped(q), [q]);
  const working = groups.find((group) => group.id === 'working')?.sessions ?? [];
  const needing = groups.find((group) => group.id === 'needs_you')?.sessions ?? [];
  const beside = [...needing, ...working].slice(0, 2);

  if (known.state === 'failed' && known.byId.size === 0) {
    return (
      <ErrorState error={known.error} what="the sessions" retry={() => void sessions.load()} />
    );
  }
  if (known.state === 'loading') return <Skeleton rows={6} label="Loading the sessions" />;
  if (known.byId.size === 0) return <FirstRun />;

  return (
    <div className="flex h-full min-h-0">
      <div className="flex min-w-0 flex-1 flex-col">
        <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
          <h1 className="sr-only">Sessions</h1>
          <div ref={field} className="relative min-w-40 flex-1">
            <Search aria-hidden className="absolute top-2 left-2.5 size-4 text-faint" />
            <Field
              label="Search the sessions"
              bare
              placeholder="Title, repository, branch, #number"
              value={typed}
              onChange={(text) => {
                setTyped(text);
                void navigate({
                  search: { ...(peek ? { peek } : {}), ...(text ? { q: text } : {}) },
                  replace: true,
                });
              }}
              inputClassName="pl-8"
            />
          </div>
          <Choice
            label="Sort"
            bare
            options={SORTS.map((id) => ({ id, label: SORT_LABELS[id] }))}
            value={sort}
            onChange={(value) => setSort(value as Sort)}
            className="w-44 max-sm:hidden"
          />
          {beside.length === 2 && (
            <Button
              look="quiet"
              icon={Columns2}
              className="max-md:hidden"
              onPress={() =>
                void navigate({
                  to: '/split',
                  search: { ids: beside.map(({ id }) => id).join(',') },
                })
              }
            >
              Side by side
            </Button>
          )}
        </div>
        <div ref={scroller} className="min-h-0 flex-1 overflow-auto" tabIndex={-1}>
          {items.length === 0 && searched?.loading && (
            <div className="p-6">
              <Spinner label="Searching" />
            </div>
          )}
          {items.length === 0 && !searched?.loading && (
            <EmptyState
              icon={Inbox}
              title="No session fits"
              action={
                <Button onPress={() => void navigate({ search: {}, replace: true })}>
                  Clear the search
                </Button>
              }
            >
              Nothing has “{search}” in its title, repository, branch or number.
            </EmptyState>
          )}
          <ul className="relative w-full" style={{ height: list.getTotalSize() }}>
            {list.getVirtualItems().map((virtual) => {
              const item = items[virtual.index];
              if (!item) return null;
              return (
                <li
                  key={virtual.key}
                  ref={list.measureElement}
                  data-index={virtual.index}
                  className="absolute top-0 left-0 w-full border-b border-line/60"
                  style={{ transform: `translateY(${virtual.start}px)` }}
                >
                  <HomeItem item={item} peek={peek} onToggle={toggle} />
                </li>
              );
            })}
          </ul>
        </div>
      </div>
      {chosen && (
        <aside
          className="w-[min(32rem,45%)] shrink-0 border-l border-line max-lg:hidden"
          aria-label="Peek"
        >
          <Peek key={chosen.id} session={chosen} />
        </aside>
      )}
    </div>
  );
}

interface HomeItemProps {
  item: Item;
  peek: string | undefined;
  onToggle(id: SessionGroup): void;
}

function HomeItem({ item, peek, onToggle }: HomeItemProps) {
  switch (item.kind) {
    case 'heading': {
      const { label } = GROUPS[item.group.id];
      const Icon = item.folded ? ChevronRight : ChevronDown;
      return (
        <h2 className="bg-canvas">
          <button
            type="button"
            aria-expanded={!item.folded}
            onClick={() => onToggle(item.group.id)}
            className="flex w-full cursor-pointer items-center gap-1.5 px-3 py-2 text-left text-xs font-semibold text-soft hover:text-text"
          >
            <Icon aria-hidden className="size-3.5" />
            {label}
            <span className="font-normal text-faint">{item.group.sessions.length}</span>
          </button>
        </h2>
      );
    }
    case 'empty':
      return <p className="px-8 py-2 text-xs text-faint">{GROUPS[item.group.id].empty}</p>;
    case 'more':
      return (
        <div className="p-3 text-center">
          <Button look="quiet" icon={Plus} onPress={() => sessions.loadMore().catch(failed)}>
            Older ones
          </Button>
        </div>
      );
    case 'session':
      return (
        <SessionRow
          session={item.session}
          active={item.session.id === peek}
          open={item.session.inputs.length > 0}
        />
      );
  }
}
