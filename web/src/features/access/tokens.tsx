import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { Copy, KeyRound, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import { asProblem } from '@/api/problem';
import { queryClient } from '@/api/query';
import type { Token } from '@/api/types';
import { useMay } from '@/features/access/query';
import { harmless, line } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { Button, IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { Confirm } from '@/ui/dialog';
import { Field } from '@/ui/field';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';
import { done, failed } from '@/ui/toast';

const KEY = ['tokens'];
const LASTS = [
  { id: '7', label: '7 days' },
  { id: '30', label: '30 days' },
  { id: '90', label: '90 days' },
  { id: '365', label: 'A year' },
];
const ROLES = [
  { id: '', label: 'What you may do', detail: 'Whatever that is when it is used' },
  { id: 'maintainer', label: 'Maintainer', detail: 'Sessions and runs, nothing of administration' },
  { id: 'viewer', label: 'Viewer', detail: 'Reads, and changes nothing' },
];

/** A page of their own. */
export function TokensScreen() {
  const seesAll = useMay('token.list-all');
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6">
      <h1 className="text-xl font-semibold">API tokens</h1>
      <p className="text-soft">
        For the command line and for scripts. A token never does more than you may do at that
        moment.
      </p>
      <Tokens title="Yours" />
      {seesAll && <AllTokens />}
    </div>
  );
}

/** One's own API tokens. */
export function Tokens({ title = 'API tokens' }: { title?: string }) {
  return (
    <Card title={title}>
      <NewToken />
      <TokenList />
    </Card>
  );
}

/** Everybody's API tokens, for admins. */
function AllTokens() {
  return (
    <Card title="Everybody’s">
      <p className="border-b border-line px-4 py-3 text-sm text-soft">
        You see them as an admin. To end one is on its owner’s record, with your name.
      </p>
      <TokenList all />
    </Card>
  );
}

function TokenList({ all = false }: { all?: boolean }) {
  const may = useMay('token.revoke-any');
  const tokens = useInfiniteQuery({
    queryKey: [...KEY, all ? 'all' : 'own'],
    queryFn: ({ pageParam, signal }) => {
      const query = {
        limit: all ? 50 : 200,
        ...(all ? { owner: 'all' } : {}),
        ...(pageParam ? { cursor: pageParam } : {}),
      };
      return unwrap(api.GET('/api/v1/tokens', { params: { query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  });
  const [revoking, setRevoking] = useState<Token>();
  if (tokens.isPending) return <Skeleton rows={2} />;
  if (tokens.isError) {
    return (
      <ErrorState error={tokens.error} what="the tokens" retry={() => void tokens.refetch()} />
    );
  }
  const items = tokens.data.pages.flatMap((page) => page.items);
  return (
    <>
      {items.length === 0 && (
        <EmptyState icon={KeyRound} title="No token">
          The CLI and scripts use tokens; this page does not need one.
        </EmptyState>
      )}
      <ul aria-label={all ? 'Everybody’s tokens' : 'Your tokens'}>
        {items.map((token) => (
          <Item
            key={token.id}
            token={token}
            whose={all}
            {...(all && !may ? {} : { revoke: () => setRevoking(token) })}
          />
        ))}
      </ul>
      {tokens.hasNextPage && (
        <div className="border-t border-line p-3 text-center">
          <Button busy={tokens.isFetchingNextPage} onPress={() => void tokens.fetchNextPage()}>
            Show older ones
          </Button>
        </div>
      )}
      <Confirm
        title={all ? `Revoke a token of ${owner(revoking)}?` : 'Revoke this token?'}
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
        Whatever uses “{harmless(revoking?.name ?? '')}” is refused from then on, and what it has
        open is closed.
      </Confirm>
    </>
  );
}

/** Whose a token is, in a few words. */
function owner(token: Token | undefined): string {
  if (!token) return '';
  return line(token.owner.name ?? token.owner.email ?? token.owner.id, 60);
}

interface ItemProps {
  token: Token;
  /** Whether it is said whose it is. */
  whose: boolean;
  /** Where it can be. */
  revoke?: () => void;
}

function Item({ token, whose, revoke }: ItemProps) {
  const name = harmless(token.name);
  return (
    <li className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-0">
      <div className="min-w-0 flex-1">
        <div className="flex items-center gap-2">
          <span className="truncate font-medium">{name}</span>
          {token.scope.role && <Badge>{token.scope.role} at most</Badge>}
          {token.scope.session && <Badge>one session</Badge>}
        </div>
        <div className="text-xs text-soft">
          {whose && `of ${owner(token)} · `}
          made <RelativeTime at={token.created_at} /> · ends <RelativeTime at={token.expires_at} />{' '}
          ·{' '}
          {token.last_used_at ? (
            <>
              last used <RelativeTime at={token.last_used_at} />
            </>
          ) : (
            'never used'
          )}
        </div>
      </div>
      {revoke && <IconButton icon={Trash2} label={`Revoke ${name}`} onPress={revoke} />}
    </li>
  );
}

function NewToken() {
  const [name, setName] = useState('');
  const [lasts, setLasts] = useState('90');
  const [role, setRole] = useState('');
  const [session, setSession] = useState('');
  const make = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST('/api/v1/tokens', {
          body: {
            name: name.trim(),
            expires_in_days: Number(lasts),
            scope: { role: role || null, session: session.trim() || null },
          },
        }),
      ),
    onSuccess: () => {
      setName('');
      setSession('');
      void queryClient.invalidateQueries({ queryKey: KEY });
    },
  });
  const problem = make.error ? asProblem(make.error) : undefined;
  const ofSession = problem?.field('scope.session');
  return (
    <>
      <form
        className="flex flex-col gap-3 border-b border-line p-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) make.mutate();
        }}
      >
        <div className="flex items-end gap-2">
          <Field
            label="New token"
            placeholder="What it is for"
            value={name}
            onChange={setName}
            className="flex-1"
            error={problem && !ofSession ? (problem.field('name') ?? problem.message) : undefined}
          />
          <Button type="submit" icon={KeyRound} busy={make.isPending} isDisabled={!name.trim()}>
            Make it
          </Button>
        </div>
        <div className="grid gap-3 sm:grid-cols-3">
          <Choice label="Good for" options={LASTS} value={lasts} onChange={setLasts} />
          <Choice label="It may do" options={ROLES} value={role} onChange={setRole} />
          <Field
            label="For one session alone"
            placeholder="The session’s ID, or nothing"
            value={session}
            onChange={setSession}
            error={ofSession}
            mono
          />
        </div>
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
    </>
  );
}
