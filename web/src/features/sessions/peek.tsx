import { Link } from '@tanstack/react-router';
import { ArrowRight, OctagonX } from 'lucide-react';
import { lazy, Suspense } from 'react';
import type { Session } from '@/api/types';
import { cancelRun } from '@/features/sessions/actions';
import { StateBadge } from '@/features/sessions/state-badge';
import { line } from '@/lib/safe';
import { IconButton } from '@/ui/button';
import { Skeleton } from '@/ui/state';
import { failed } from '@/ui/toast';

const Transcript = lazy(() =>
  import('@/features/transcript/transcript').then(({ Transcript }) => ({ default: Transcript })),
);

/** The newest output of a session, beside the list. */
export function Peek({ session }: { session: Session }) {
  const run = session.active_run ?? session.last_run;
  return (
    <div className="flex h-full flex-col">
      <header className="flex items-center gap-2 border-b border-line px-4 py-2">
        <h2 className="min-w-0 flex-1 truncate font-semibold">
          {line(session.title ?? 'Session')}
        </h2>
        <StateBadge state={session.state} />
        {run?.allowed_actions.includes('cancel') && (
          <IconButton
            icon={OctagonX}
            label="Cancel the run"
            onPress={() => cancelRun(run.id).catch(failed)}
          />
        )}
        {run && (
          <Link
            to="/runs/$id"
            params={{ id: run.id }}
            aria-label="Open the run"
            className="rounded-md p-2 text-soft hover:bg-sunken hover:text-text"
          >
            <ArrowRight aria-hidden className="size-4" />
          </Link>
        )}
      </header>
      <div className="min-h-0 flex-1">
        {run ? (
          <Suspense fallback={<Skeleton />}>
            <Transcript run={run} compact />
          </Suspense>
        ) : (
          <p className="p-4 text-soft">No run was started yet.</p>
        )}
      </div>
    </div>
  );
}
