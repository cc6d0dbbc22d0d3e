import { Link } from '@tanstack/react-router';
import { KeyRound } from 'lucide-react';
import type { Run } from '@/api/types';
import { RelativeTime } from '@/ui/time';

/** What the run carries to the forge. */
export function RunCredential({ run }: { run: Run }) {
  const { credential } = run;
  return (
    <p className="flex flex-wrap items-center gap-x-2 text-soft">
      <KeyRound aria-hidden className={credential?.revoked ? 'size-4 text-bad' : 'size-4'} />
      {credential ? (
        <span>
          To the forge it carries{' '}
          <Link to="/credentials" className="text-accent underline">
            {credential.name}
          </Link>
          {credential.used_at ? (
            <>
              , generation {credential.generation}, since <RelativeTime at={credential.used_at} />
            </>
          ) : (
            ', which it has not used yet'
          )}
          {credential.revoked && '. It was revoked: the run gets nothing from the forge any more'}.
        </span>
      ) : (
        'To the forge it carries the installation’s own token.'
      )}
    </p>
  );
}
