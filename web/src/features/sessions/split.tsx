import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { Columns2, X } from 'lucide-react';
import { AskCard } from '@/features/asks/ask-card';
import { Peek } from '@/features/sessions/peek';
import { useSessions, useSessionsOf } from '@/features/sessions/store';
import { IconButton } from '@/ui/button';
import { EmptyState, Skeleton } from '@/ui/state';

const route = getRouteApi('/split');

/** Two or more sessions side by side. */
export function Split() {
  const ids = (route.useSearch().ids ?? '').split(',').filter(Boolean);
  const { byId, state } = useSessions();
  const shown = useSessionsOf(ids);
  const navigate = useNavigate();
  if (state === 'loading') return <Skeleton rows={4} />;
  const others = [...byId.values()].filter(
    ({ id, group }) => !ids.includes(id) && group !== 'done',
  );
  const show = (next: string[]) => void navigate({ to: '/split', search: { ids: next.join(',') } });
  if (shown.length === 0) {
    return (
      <EmptyState
        icon={Columns2}
        title="Nothing is side by side yet"
        action={
          <Link to="/" className="text-accent underline">
            To the sessions
          </Link>
        }
      >
        Choose sessions on the home page, or from the list below once some are at work.
      </EmptyState>
    );
  }
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">Side by side</h1>
      <div className="flex min-h-0 flex-1 divide-x divide-line max-md:flex-col max-md:divide-x-0 max-md:divide-y">
        {shown.map((session) => (
          <section
            key={session.id}
            className="flex min-h-0 min-w-0 flex-1 flex-col"
            aria-label={session.title ?? session.branch}
          >
            <div className="relative min-h-0 flex-1">
              <Peek session={session} />
              <IconButton
                icon={X}
                label="Take it away"
                className="absolute top-12 right-2 z-10"
                onPress={() => show(ids.filter((id) => id !== session.id))}
              />
            </div>
            {session.inputs.map((input) => (
              <div key={input.id} className="border-t border-line p-3">
                <AskCard
                  input={input}
                  may={session.active_run?.allowed_actions.includes('answer') ?? false}
                  compact
                />
              </div>
            ))}
          </section>
        ))}
      </div>
      {others.length > 0 && (
        <label className="flex items-center gap-2 border-t border-line px-4 py-2 text-sm">
          Add
          <select
            className="rounded-md border border-line-strong/60 bg-surface px-2 py-1"
            value=""
            onChange={({ target }) => show([...ids, target.value])}
          >
            <option value="">a session…</option>
            {others.map(({ id, title, branch }) => (
              <option key={id} value={id}>
                {title ?? branch}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}
