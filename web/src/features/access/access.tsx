import { useQuery } from '@tanstack/react-query';
import { ShieldCheck } from 'lucide-react';
import { meQuery } from '@/api/query';
import { BindingList } from '@/features/access/binding-list';
import { Explain } from '@/features/access/explain';
import { GrantForm } from '@/features/access/grant-form';
import { bindingsQuery, useMay } from '@/features/access/query';
import { roleLabel } from '@/features/access/words';
import { Badge } from '@/ui/badge';
import { Card } from '@/ui/card';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';

/** Roles: one's own, and for who may see them all. */
export function Access() {
  const sees = useMay('binding.read');
  const gives = useMay('binding.grant');
  const takes = useMay('binding.revoke');
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6">
      <h1 className="text-xl font-semibold">Access</h1>
      <Own />
      {sees && <All may={takes} />}
      {gives && (
        <Card title="Give a role over the installation">
          <div className="p-4">
            <GrantForm scope="global" what="every session" upTo="admin" />
          </div>
        </Card>
      )}
      <Explain />
    </div>
  );
}

function Own() {
  const me = useQuery(meQuery);
  return (
    <Card title="Your roles">
      {me.isPending && <Skeleton rows={1} />}
      {me.isError && (
        <ErrorState error={me.error} what="your roles" retry={() => void me.refetch()} />
      )}
      {me.data?.roles.length === 0 && (
        <EmptyState icon={ShieldCheck} title="You were given no role">
          You see the sessions that you made and those that are shared with you. An admin gives
          roles, and your groups may have some.
        </EmptyState>
      )}
      <ul>
        {me.data?.roles.map((role) => (
          <li
            key={`${role.binding} ${role.role} ${role.scope}`}
            className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-0"
          >
            <span className="min-w-0 flex-1 truncate">
              {role.scope === 'global' ? 'The whole installation' : role.scope}
              {role.repositories.length > 0 && `: ${role.repositories.join(', ')}`}
            </span>
            <span className="text-xs text-soft">
              {role.binding ? 'by a binding' : 'by configuration'}
            </span>
            <Badge>{roleLabel(role.role)}</Badge>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function All({ may }: { may: boolean }) {
  const bindings = useQuery(bindingsQuery());
  return (
    <Card title="All roles">
      {bindings.isPending && <Skeleton rows={3} />}
      {bindings.isError && (
        <ErrorState error={bindings.error} what="the roles" retry={() => void bindings.refetch()} />
      )}
      {bindings.data?.length === 0 && (
        <EmptyState icon={ShieldCheck} title="Nobody was given a role">
          Who is an admin by configuration is one all the same.
        </EmptyState>
      )}
      {bindings.data && bindings.data.length > 0 && (
        <BindingList bindings={bindings.data} may={may} />
      )}
    </Card>
  );
}
