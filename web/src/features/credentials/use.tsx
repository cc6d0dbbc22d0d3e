import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Credential } from '@/api/types';
import { BindingList } from '@/features/access/binding-list';
import { GrantForm } from '@/features/access/grant-form';
import { bindingsQuery } from '@/features/access/query';
import { usesQuery } from '@/features/credentials/query';
import { ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';

interface CredentialUseProps {
  credential: Credential;
  mayShare: boolean;
}

/** Who may use a credential, and the runs that did. */
export function CredentialUse({ credential, mayShare }: CredentialUseProps) {
  const scope = `credential:${credential.id}`;
  const bindings = useQuery(bindingsQuery(scope));
  const runs = useQuery(usesQuery(credential.id));
  return (
    <div className="flex flex-col gap-4 border-t border-line pt-3">
      <section className="flex flex-col gap-2">
        <h3 className="text-sm font-semibold">Who may use it</h3>
        <p className="text-sm text-soft">
          {credential.owner
            ? 'Its owner, and whoever is given a role over it:'
            : 'Whoever is given a role over it:'}
        </p>
        {bindings.isPending && <Skeleton rows={1} />}
        {bindings.isError && (
          <ErrorState
            error={bindings.error}
            what="the roles"
            retry={() => void bindings.refetch()}
          />
        )}
        {bindings.data?.length === 0 && <p className="text-sm">Nobody was given one.</p>}
        {bindings.data && bindings.data.length > 0 && (
          <div className="rounded-lg border border-line">
            <BindingList bindings={bindings.data} list={scope} may={mayShare} bare />
          </div>
        )}
        {mayShare && <GrantForm scope={scope} list={scope} what="this credential" upTo="admin" />}
      </section>
      <section className="flex flex-col gap-2">
        <h3 className="text-sm font-semibold">Where it was used</h3>
        {runs.isPending && <Skeleton rows={1} />}
        {runs.isError && (
          <ErrorState error={runs.error} what="the runs" retry={() => void runs.refetch()} />
        )}
        {runs.data?.length === 0 && <p className="text-sm">In no run that you may see.</p>}
        <ul className="text-sm">
          {runs.data?.map((run) => (
            <li key={run.id} className="flex flex-wrap gap-x-2">
              <Link to="/runs/$id" params={{ id: run.id }} className="text-accent underline">
                {run.repo} · {run.branch}
              </Link>
              <span className="text-soft">
                generation {run.credential?.generation ?? '?'}
                {run.credential?.used_at && (
                  <>
                    , <RelativeTime at={run.credential.used_at} />
                  </>
                )}
              </span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}
