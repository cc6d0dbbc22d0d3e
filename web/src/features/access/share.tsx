import { useQuery } from '@tanstack/react-query';
import { Users } from 'lucide-react';
import type { Session } from '@/api/types';
import { BindingList } from '@/features/access/binding-list';
import { GrantForm } from '@/features/access/grant-form';
import { bindingsQuery } from '@/features/access/query';
import { Dialog } from '@/ui/dialog';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';

interface ShareProps {
  session: Session;
  isOpen: boolean;
  onClose(): void;
}

/** With whom a session is shared, and with whom it could be. */
export function Share({ session, isOpen, onClose }: ShareProps) {
  return (
    <Dialog title="Share this session" isOpen={isOpen} onClose={onClose} wide>
      {isOpen && <Sharing session={session} />}
    </Dialog>
  );
}

function Sharing({ session }: { session: Session }) {
  const scope = `session:${session.id}`;
  const bindings = useQuery(bindingsQuery(scope));
  const may = session.allowed_actions.includes('share');
  return (
    <div className="flex flex-col gap-4">
      <p className="text-sm text-soft">
        Whoever made it is its maintainer. Who has a role over the whole installation sees it too;
        here is who was given one over this session alone.
      </p>
      <div className="rounded-lg border border-line">
        {bindings.isPending && <Skeleton rows={2} />}
        {bindings.isError && (
          <ErrorState
            error={bindings.error}
            what="the list"
            retry={() => void bindings.refetch()}
          />
        )}
        {bindings.data?.length === 0 && (
          <EmptyState icon={Users} title="Shared with nobody">
            {may ? 'Give a group or a person a role below.' : 'Its maintainers can share it.'}
          </EmptyState>
        )}
        {bindings.data && bindings.data.length > 0 && (
          <BindingList bindings={bindings.data} list={scope} may={may} bare />
        )}
      </div>
      {may && (
        <GrantForm
          scope={scope}
          list={scope}
          what="this session"
          upTo={session.role === 'admin' ? 'admin' : 'maintainer'}
        />
      )}
    </div>
  );
}
