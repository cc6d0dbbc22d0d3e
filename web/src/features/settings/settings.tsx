import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ChevronRight, Copy, KeyRound, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import { asProblem } from '@/api/problem';
import { queryClient } from '@/api/query';
import type { Token } from '@/api/types';
import { useTheme } from '@/features/shell/theme';
import { useStored } from '@/lib/stored';
import { Button, IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { Confirm } from '@/ui/dialog';
import { Field, Switch } from '@/ui/field';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';
import { done, failed } from '@/ui/toast';

/** What this browser and this person have set. */
export function Settings() {
  const [theme, setTheme] = useTheme();
  const [notify, setNotify] = useStored('notifications', ['off', 'on'], 'off');
  const canNotify = typeof Notification !== 'undefined';
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6">
      <h1 className="text-xl font-semibold">Settings</h1>
      <Card title="This browser" className="flex flex-col">
        <div className="flex flex-col gap-4 p-4">
          <Choice
            label="Theme"
            options={[
              { id: 'system', label: 'As the system' },
              { id: 'light', label: 'Light' },
              { id: 'dark', label: 'Dark' },
            ]}
            value={theme}
            onChange={(value) => setTheme(value as typeof theme)}
            className="max-w-60"
          />
          {canNotify && (
            <Switch
              selected={notify === 'on'}
              onChange={async (on) => {
                if (on && (await Notification.requestPermission()) !== 'granted') {
                  failed(new Error('The browser does not allow notifications for this address'));
                  return;
                }
                setNotify(on ? 'on' : 'off');
              }}
            >
              Tell me when an agent needs me and this page is not in sight
            </Switch>
          )}
        </div>
      </Card>
      <Card title="The installation">
        <Link
          to="/settings/installation"
          className="flex items-center gap-3 rounded-b-xl px-4 py-3 hover:bg-sunken"
        >
          <span className="min-w-0 flex-1">
            <span className="block font-medium">Settings of the installation</span>
            <span className="block text-sm text-soft">
              How many runs at once, which hosts they may reach, harness profiles, how long things
              are kept, and who changed what
            </span>
          </span>
          <ChevronRight aria-hidden className="size-4 text-soft" />
        </Link>
      </Card>
      <Tokens />
    </div>
  );
}

const KEY = ['tokens'];

function Tokens() {
  const tokens = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => unwrap(api.GET('/api/v1/tokens', { signal })),
  });
  const [name, setName] = useState('');
  const make = useMutation({
    mutationFn: () => unwrap(api.POST('/api/v1/tokens', { body: { name: name.trim() } })),
    onSuccess: () => {
      setName('');
      void queryClient.invalidateQueries({ queryKey: KEY });
    },
  });
  const [revoking, setRevoking] = useState<Token>();
  return (
    <Card title="API tokens">
      <form
        className="flex items-end gap-2 border-b border-line p-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) make.mutate();
        }}
      >
        <Field
          label="New token"
          placeholder="What it is for"
          value={name}
          onChange={setName}
          className="flex-1"
          error={
            make.error
              ? (asProblem(make.error).field('name') ?? asProblem(make.error).message)
              : undefined
          }
        />
        <Button type="submit" icon={KeyRound} busy={make.isPending} isDisabled={!name.trim()}>
          Make it
        </Button>
      </form>
      {make.data && (
        <div role="status" className="flex flex-col gap-2 border-b border-line bg-good-soft p-4">
          <p className="text-good">This is shown once. Keep it where only you can read it.</p>
          <div className="flex items-center gap-2">
            <code className="min-w-0 flex-1 rounded-md bg-surface px-2.5 py-1.5 font-mono text-xs break-all select-all">
              {make.data.token}
            </code>
            <IconButton
              icon={Copy}
              label="Copy the token"
              onPress={async () => {
                await navigator.clipboard.writeText(make.data.token);
                done('Copied');
              }}
            />
          </div>
        </div>
      )}
      {tokens.isPending && <Skeleton rows={2} />}
      {tokens.isError && (
        <ErrorState error={tokens.error} what="the tokens" retry={() => void tokens.refetch()} />
      )}
      {tokens.data?.items.length === 0 && (
        <EmptyState icon={KeyRound} title="No token">
          The CLI and scripts use tokens; this page does not need one.
        </EmptyState>
      )}
      <ul>
        {tokens.data?.items.map((token) => (
          <li
            key={token.id}
            className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-0"
          >
            <span className="min-w-0 flex-1 truncate font-medium">{token.name}</span>
            <span className="text-xs text-soft">
              made <RelativeTime at={token.created_at} /> · ends{' '}
              <RelativeTime at={token.expires_at} />
            </span>
            <IconButton
              icon={Trash2}
              label={`Revoke ${token.name}`}
              onPress={() => setRevoking(token)}
            />
          </li>
        ))}
      </ul>
      <Confirm
        title="Revoke this token?"
        isOpen={revoking !== undefined}
        onClose={() => setRevoking(undefined)}
        action="Revoke it"
        danger
        onConfirm={async () => {
          if (!revoking) return;
          try {
            await unwrap(
              api.DELETE('/api/v1/tokens/{id}', { params: { path: { id: revoking.id } } }),
            );
            await queryClient.invalidateQueries({ queryKey: KEY });
          } catch (error) {
            failed(error);
          }
        }}
      >
        Whatever uses “{revoking?.name}” is refused from then on.
      </Confirm>
    </Card>
  );
}
