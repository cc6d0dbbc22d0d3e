import { useQuery } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { useMay } from '@/features/access/query';
import { AddCredential } from '@/features/credentials/add';
import { CredentialCard } from '@/features/credentials/card';
import { credentialsQuery } from '@/features/credentials/query';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';

/** What runs carry to the forge: how it stands, who may use it, where it was used. */
export function Credentials() {
  const list = useQuery(credentialsQuery);
  const may = useMay('credential.register');
  const [adding, setAdding] = useState(false);
  const add = may && (
    <Button icon={Plus} onPress={() => setAdding(true)}>
      Register a credential
    </Button>
  );
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6">
      <header className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <h1 className="text-xl font-semibold">Credentials</h1>
          <p className="text-soft">
            What runs carry to GitHub. A value is kept sealed, goes to the gateway alone, and is
            never shown again; no sandbox has it.
          </p>
        </div>
        {list.data && list.data.length > 0 && add}
      </header>
      {list.isPending && <Skeleton rows={3} />}
      {list.isError && (
        <ErrorState error={list.error} what="the credentials" retry={() => void list.refetch()} />
      )}
      {list.data?.length === 0 && (
        <Card>
          <EmptyState icon={KeyRound} title="No credential" action={add || undefined}>
            Runs carry the installation’s own token, where it has one.{' '}
            {may
              ? 'Register a fine-grained token, and they carry yours.'
              : 'Whoever may use repositories here can register one.'}
          </EmptyState>
        </Card>
      )}
      {list.data?.map((credential) => (
        <CredentialCard key={credential.id} credential={credential} />
      ))}
      <AddCredential isOpen={adding} onClose={() => setAdding(false)} />
    </div>
  );
}
