import { CircleAlert, type LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { asProblem, type Missing } from '@/api/problem';
import { Button } from '@/ui/button';

interface EmptyStateProps {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** Nothing is here: why, and what to do. */
export function EmptyState({ icon: Icon, title, children, action }: EmptyStateProps) {
  return (
    <div className="mx-auto flex max-w-md flex-col items-center gap-2 px-6 py-12 text-center">
      <Icon aria-hidden className="size-8 text-faint" strokeWidth={1.5} />
      <h2 className="text-lg font-semibold">{title}</h2>
      {children && <div className="text-soft">{children}</div>}
      {action && <div className="mt-3 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

interface ErrorStateProps {
  error: unknown;
  /** What was wanted: "the run", "the list". */
  what: string;
  retry?: () => void;
}

/** It did not work: what, why, and how to go on. */
export function ErrorState({ error, what, retry }: ErrorStateProps) {
  const { problem } = asProblem(error);
  const title =
    problem.status === 404 ? `There is no such ${what.replace(/^the /, '')}` : problem.title;
  return (
    <div
      role="alert"
      className="mx-auto flex max-w-lg flex-col items-center gap-2 px-6 py-12 text-center"
    >
      <CircleAlert aria-hidden className="size-8 text-bad" strokeWidth={1.5} />
      <h2 className="text-lg font-semibold">{title}</h2>
      {problem.detail && <p className="text-soft">{problem.detail}</p>}
      {problem.status === 404 && (
        <p className="text-soft">It may have been deleted, or the address is not whole.</p>
      )}
      {problem.missing && <WhomToAsk missing={problem.missing} />}
      {retry && problem.status !== 404 && (
        <Button onPress={retry} className="mt-3">
          Try again
        </Button>
      )}
    </div>
  );
}

/** What is missing where something is not allowed, and who could give it. */
function WhomToAsk({ missing }: { missing: Missing }) {
  return (
    <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-3 gap-y-1 rounded-lg bg-sunken px-4 py-3 text-left text-sm">
      <dt className="text-soft">Missing</dt>
      <dd>
        the role {missing.role} in <code className="break-all">{missing.scope}</code>, for{' '}
        <code>{missing.action}</code>
      </dd>
      <dt className="text-soft">You have</dt>
      <dd>{missing.has ?? 'none there'}</dd>
      <dt className="text-soft">Ask</dt>
      <dd className="break-all">{missing.ask.join(', ') || 'an admin of the installation'}</dd>
    </dl>
  );
}

/** Grey bars in the place of what is being loaded. */
export function Skeleton({ rows = 3, label = 'Loading' }: { rows?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className="flex flex-col gap-3 p-4">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars are all alike.
        <div key={row} className="flex animate-pulse flex-col gap-2">
          <div className="h-4 w-2/3 rounded bg-sunken" />
          <div className="h-3 w-1/3 rounded bg-sunken" />
        </div>
      ))}
    </div>
  );
}
