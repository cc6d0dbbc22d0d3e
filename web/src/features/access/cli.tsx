import { useMutation } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { Copy, SquareTerminal } from 'lucide-react';
import { api, unwrap } from '@/api/client';
import { harmless } from '@/lib/safe';
import { Button, IconButton } from '@/ui/button';
import { EmptyState, ErrorState } from '@/ui/state';
import { done } from '@/ui/toast';

const route = getRouteApi('/cli');

/** A command line asks for an API token: the person says whether it may have one. */
export function CliGrant() {
  const { challenge, port, state, host, days } = route.useSearch();
  const name = harmless(host ?? '').slice(0, 100) || 'an unnamed machine';
  const back = port && state && /^\d{1,5}$/.test(port) ? { port, state } : undefined;
  const lasts = Math.min(90, Math.max(1, Number(days ?? 30) || 30));
  const grant = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST('/api/v1/cli-grants', {
          body: {
            challenge: challenge ?? '',
            name: `paddock login on ${name}`,
            expires_in_days: lasts,
          },
        }),
      ),
    onSuccess: ({ code }) => {
      if (back) leave(back, { code });
    },
  });
  if (!challenge)
    return (
      <EmptyState icon={SquareTerminal} title="This link is not whole">
        Run <code className="font-mono">paddock login</code> again, and open what it prints.
      </EmptyState>
    );
  if (grant.isError)
    return <ErrorState error={grant.error} what="the token" retry={() => grant.reset()} />;
  if (grant.data && !back)
    return (
      <EmptyState icon={SquareTerminal} title="Paste this code into the terminal">
        <p>It is good once, for two minutes, and only there.</p>
        <div className="mt-3 flex items-center gap-2">
          <code className="min-w-0 flex-1 rounded-md border border-line bg-surface px-2.5 py-1.5 font-mono text-xs break-all select-all text-text">
            {grant.data.code}
          </code>
          <IconButton
            icon={Copy}
            label="Copy the code"
            onPress={async () => {
              await navigator.clipboard.writeText(grant.data.code);
              done('Copied');
            }}
          />
        </div>
      </EmptyState>
    );
  return (
    <EmptyState
      icon={SquareTerminal}
      title="Let this command line in?"
      action={
        <>
          <Button
            look="primary"
            busy={grant.isPending || grant.isSuccess}
            onPress={() => grant.mutate()}
          >
            Let it in
          </Button>
          {back && <Button onPress={() => leave(back, {})}>Refuse</Button>}
        </>
      }
    >
      <p>
        <code className="font-mono text-text">paddock login</code> on{' '}
        <strong className="text-text">{name}</strong> asks for an API token of yours. With it, it
        may do what you may do, for {lasts} days or until you revoke it.
      </p>
      <p className="mt-2">Did you not just run it yourself? Then close this page.</p>
    </EmptyState>
  );
}

/** Back to the command line, which listens on this machine alone. */
function leave(back: { port: string; state: string }, more: { code?: string }): void {
  const query = new URLSearchParams({ state: back.state, ...more });
  location.assign(`http://127.0.0.1:${back.port}/callback?${query}`);
}
