import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import { Compass } from 'lucide-react';
import { EmptyState, ErrorState } from '@/ui/state';

/** A screen broke: the others still work. */
export function RouteError({ error, reset }: ErrorComponentProps) {
  return <ErrorState error={error} what="the screen" retry={reset} />;
}

export function RouteMissing() {
  return (
    <EmptyState
      icon={Compass}
      title="There is no such page"
      action={
        <Link to="/" className="rounded-md text-accent underline">
          To the sessions
        </Link>
      }
    >
      The address leads nowhere. Perhaps a part of it was lost.
    </EmptyState>
  );
}
