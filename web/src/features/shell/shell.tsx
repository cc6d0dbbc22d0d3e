import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import {
  Activity,
  CircleHelp,
  ListTree,
  Plus,
  ScrollText,
  Search,
  Settings2,
  ShieldCheck,
} from 'lucide-react';
import { useState } from 'react';
import { asProblem } from '@/api/problem';
import { meQuery } from '@/api/query';
import { ConnectionNote } from '@/features/shell/connection-note';
import { Help } from '@/features/shell/help';
import { Palette } from '@/features/shell/palette';
import { useShortcuts } from '@/features/shell/shortcuts';
import { SignIn } from '@/features/shell/sign-in';
import { ThemeMenu } from '@/features/shell/theme';
import { useTitle } from '@/features/shell/title';
import { SystemBadge } from '@/features/system/badge';
import { IconButton } from '@/ui/button';
import { Kbd } from '@/ui/kbd';
import { ErrorState, Skeleton } from '@/ui/state';
import { Toasts } from '@/ui/toast';

const NAV = [
  { to: '/', label: 'Sessions', icon: ListTree },
  { to: '/system', label: 'System', icon: Activity },
  { to: '/access', label: 'Access', icon: ShieldCheck },
  { to: '/audit', label: 'Record', icon: ScrollText },
  { to: '/settings', label: 'Settings', icon: Settings2 },
] as const;

/** What is around every screen. */
export function Shell() {
  const me = useQuery(meQuery);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const navigate = useNavigate();
  const begins = me.data?.allowed_actions.includes('session.create') ?? false;
  const audits = me.data?.allowed_actions.includes('audit.read') ?? false;
  const nav = NAV.filter(({ to }) => to !== '/audit' || audits);
  useTitle(me.isSuccess);
  useShortcuts({
    '?': { label: 'All shortcuts', group: 'Everywhere', run: () => setHelp(true) },
    ...(begins && {
      n: { label: 'New run', group: 'Everywhere', run: () => void navigate({ to: '/new' }) },
    }),
    'g s': {
      label: 'Go to the sessions',
      group: 'Everywhere',
      run: () => void navigate({ to: '/' }),
    },
    'g y': {
      label: 'Go to the system',
      group: 'Everywhere',
      run: () => void navigate({ to: '/system' }),
    },
  });
  if (me.isPending) return <Skeleton rows={4} label="Loading Paddock" />;
  if (me.isError && asProblem(me.error).status === 401) return <SignIn />;
  if (me.isError)
    return <ErrorState error={me.error} what="the page" retry={() => void me.refetch()} />;
  return (
    <div className="flex h-full flex-col">
      <a
        href="#main"
        className="absolute -top-20 left-2 z-50 rounded-md bg-accent px-3 py-2 text-on-accent focus:top-2"
      >
        Skip to the content
      </a>
      <header className="flex h-12 shrink-0 items-center gap-1 border-b border-line bg-surface px-3">
        <Link
          to="/"
          className="mr-2 flex items-center gap-2 rounded-md font-semibold"
          aria-label="Paddock: home"
        >
          <svg viewBox="0 0 32 32" className="size-6" aria-hidden="true">
            <rect width="32" height="32" rx="7" className="fill-accent" />
            <path
              d="M7 8v17M16 8v17M25 8v17M4 13h24M4 20h24"
              className="fill-none stroke-on-accent"
              strokeWidth="2.6"
              strokeLinecap="round"
            />
          </svg>
          <span className="max-sm:hidden">Paddock</span>
        </Link>
        <nav aria-label="Main" className="flex items-center gap-1">
          {nav.map(({ to, label, icon: Icon }) => (
            <Link
              key={to}
              to={to}
              activeOptions={{ exact: to === '/', includeSearch: false }}
              className="flex h-8 items-center gap-1.5 rounded-md px-2.5 text-sm text-soft hover:bg-sunken hover:text-text aria-[current=page]:bg-sunken aria-[current=page]:text-text"
            >
              <Icon aria-hidden className="size-4" />
              <span className="max-sm:sr-only">{label}</span>
              {to === '/system' && <SystemBadge />}
            </Link>
          ))}
        </nav>
        <div className="flex-1" />
        <ConnectionNote />
        <button
          type="button"
          onClick={() => setPalette(true)}
          className="flex h-8 cursor-pointer items-center gap-2 rounded-md border border-line px-2.5 text-xs text-soft hover:bg-sunken max-md:hidden"
        >
          <Search aria-hidden className="size-3.5" />
          Go to…
          <Kbd keys="Ctrl K" />
        </button>
        <span className="max-sm:hidden">
          <ThemeMenu />
        </span>
        <IconButton
          icon={CircleHelp}
          label="Shortcuts"
          shortcut="?"
          onPress={() => setHelp(true)}
        />
        {begins && (
          <Link
            to="/new"
            className="ml-1 flex h-8 items-center gap-1.5 rounded-md bg-accent px-3 text-sm font-medium text-on-accent hover:brightness-110"
          >
            <Plus aria-hidden className="size-4" />
            New run
          </Link>
        )}
      </header>
      <main id="main" className="min-h-0 flex-1 overflow-auto" tabIndex={-1}>
        <Outlet />
      </main>
      <Palette isOpen={palette} onOpenChange={setPalette} />
      <Help isOpen={help} onClose={() => setHelp(false)} />
      <Toasts />
    </div>
  );
}
