import { useQuery } from '@tanstack/react-query';
import { CircleAlert, KeyRound, LogIn } from 'lucide-react';
import { api, unwrap } from '@/api/client';
import { queryClient } from '@/api/query';
import { explained, returnTo } from '@/features/access/failures';
import { Button } from '@/ui/button';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';

const KEY = ['sign-in'];

/** Nobody is signed in: how to, and why it did not work the last time. */
export function SignIn() {
  const how = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => unwrap(api.GET('/api/v1/sign-in', { signal })),
    staleTime: 5_000,
  });
  return (
    <main className="flex h-full flex-col items-center justify-center gap-2 px-4">
      <Failure />
      {how.isPending && <Skeleton rows={2} label="Asking how to sign in" />}
      {how.isError && (
        <ErrorState error={how.error} what="the sign-in" retry={() => void how.refetch()} />
      )}
      {how.data?.method === 'link' && <ByLink />}
      {how.data?.method === 'oidc' && (
        <ByProvider
          provider={how.data.provider ?? 'the provider'}
          available={how.data.available}
          asking={how.isFetching}
        />
      )}
    </main>
  );
}

/** Why the last try failed, if one did. */
function Failure() {
  const code = new URLSearchParams(location.search).get('failed');
  if (location.pathname !== '/sign-in' || !code) return null;
  const { title, why, remedy } = explained(code);
  return (
    <div
      role="alert"
      className="flex w-full max-w-md gap-3 rounded-xl border border-bad/40 bg-bad-soft p-4"
    >
      <CircleAlert aria-hidden className="mt-0.5 size-5 shrink-0 text-bad" />
      <div className="flex flex-col gap-1">
        <h2 className="font-semibold text-bad">{title}</h2>
        <p>{why}</p>
        <p className="font-medium">{remedy}</p>
      </div>
    </div>
  );
}

function ByProvider({
  provider,
  available,
  asking,
}: {
  provider: string;
  available: boolean;
  asking: boolean;
}) {
  return (
    <EmptyState
      icon={KeyRound}
      title="Sign in to Paddock"
      action={
        available ? (
          <Button
            look="primary"
            icon={LogIn}
            autoFocus
            onPress={() => {
              const to = encodeURIComponent(returnTo(location));
              location.assign(`/login?return_to=${to}`);
            }}
          >
            Sign in at {provider}
          </Button>
        ) : (
          <Button
            busy={asking}
            onPress={() => void queryClient.invalidateQueries({ queryKey: KEY })}
          >
            Try again
          </Button>
        )
      }
    >
      {available ? (
        <p>You are sent to {provider}, which tells Paddock who you are, and back to this page.</p>
      ) : (
        <p role="status">
          {provider} does not answer, so nobody can sign in right now. Whoever is signed in already
          can go on.
        </p>
      )}
    </EmptyState>
  );
}

function ByLink() {
  return (
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
  );
}
