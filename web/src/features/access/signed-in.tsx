import { Link } from '@tanstack/react-router';
import { CircleCheck } from 'lucide-react';
import { EmptyState } from '@/ui/state';

/** Somebody who is signed in comes to where one signs in. */
export function SignedIn() {
  return (
    <EmptyState
      icon={CircleCheck}
      title="You are signed in"
      action={
        <Link to="/" className="rounded-md text-accent underline">
          To the sessions
        </Link>
      }
    />
  );
}
