import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { CircleUser, KeyRound, LogOut } from 'lucide-react';
import { Header, Menu, MenuItem, MenuSection, MenuTrigger, Popover } from 'react-aria-components';
import { api, unwrap } from '@/api/client';
import { meQuery, queryClient } from '@/api/query';
import { harmless, webAddress } from '@/lib/safe';
import { IconButton } from '@/ui/button';
import { failed } from '@/ui/toast';

const ITEM =
  'flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 text-sm outline-none data-focused:bg-sunken';

/** Who one is, and the way out. */
export function Account() {
  const { data: me } = useQuery(meQuery);
  const navigate = useNavigate();
  if (!me) return null;
  const name = harmless(me.name ?? me.email ?? 'You');
  return (
    <MenuTrigger>
      <IconButton icon={CircleUser} label={`Account: ${name}`} />
      <Popover
        placement="bottom end"
        className="min-w-56 rounded-lg border border-line bg-raised p-1 shadow-raised"
      >
        <Menu
          aria-label="Account"
          className="outline-none"
          onAction={(key) => {
            if (key === 'tokens') void navigate({ to: '/tokens' });
            if (key === 'sign-out') void signOut();
          }}
        >
          <MenuSection>
            <Header className="mb-1 max-w-72 border-b border-line px-2 py-1.5 text-sm">
              <span className="block truncate font-medium text-text">{name}</span>
              {me.email && me.email !== me.name && (
                <span className="block truncate text-soft">{harmless(me.email)}</span>
              )}
              <span className="block truncate text-xs text-soft">{groupsOf(me.groups)}</span>
            </Header>
            <MenuItem id="tokens" textValue="API tokens" className={ITEM}>
              <KeyRound aria-hidden className="size-4" />
              API tokens
            </MenuItem>
            <MenuItem id="sign-out" textValue="Sign out" className={ITEM}>
              <LogOut aria-hidden className="size-4" />
              Sign out
            </MenuItem>
          </MenuSection>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

function groupsOf(groups: string[] | null | undefined): string {
  if (!groups) return 'Groups: not told by the provider';
  if (groups.length === 0) return 'In no group';
  return `Groups: ${harmless(groups.join(', '))}`;
}

async function signOut(): Promise<void> {
  try {
    const left = await unwrap(api.POST('/api/v1/sign-out'));
    const further = left && 'continue_at' in left ? webAddress(left.continue_at) : undefined;
    if (further) {
      location.assign(further);
      return;
    }
    await queryClient.resetQueries({ queryKey: meQuery.queryKey });
  } catch (error) {
    failed(error);
  }
}
