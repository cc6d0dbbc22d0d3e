import { KeyRound } from 'lucide-react';
import { queryClient } from '@/api/query';
import { Button } from '@/ui/button';
import { EmptyState } from '@/ui/state';

/** Nobody is signed in: how to. */
export function SignIn() {
  return (
    <main className="flex h-full items-center justify-center">
      <EmptyState
        icon={KeyRound}
        title="Sign in to Paddock"
        action={
          <Button
            look="primary"
            onPress={() => void queryClient.invalidateQueries({ queryKey: ['me'] })}
          >
            I have opened the link
          </Button>
        }
      >
        <p>On the machine where Paddock runs, ask for a link. It opens once, within ten minutes.</p>
        <pre className="mt-3 rounded-md border border-line bg-surface px-3 py-2 text-left font-mono text-sm text-text select-all">
          paddock login
        </pre>
      </EmptyState>
    </main>
  );
}
