import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router';
import { Home } from '@/features/sessions/home';
import { RouteError, RouteMissing } from '@/features/shell/route-states';
import { Shell } from '@/features/shell/shell';
import { Skeleton } from '@/ui/state';

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== ''
    ? value
    : typeof value === 'number'
      ? String(value)
      : undefined;

/** Only what is there: an empty parameter is none. */
function pick<K extends string>(
  search: Record<string, unknown>,
  ...keys: K[]
): { [P in K]?: string } {
  const picked: { [P in K]?: string } = {};
  for (const key of keys) {
    const value = text(search[key]);
    if (value !== undefined) picked[key] = value;
  }
  return picked;
}

const root = createRootRoute({ component: Shell, notFoundComponent: RouteMissing });

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  validateSearch: (search: Record<string, unknown>) => pick(search, 'q', 'peek'),
  component: Home,
});

const newRun = createRoute({
  getParentRoute: () => root,
  path: '/new',
  validateSearch: (search: Record<string, unknown>) =>
    pick(search, 'repo', 'issue', 'base', 'session', 'prompt', 'profile'),
  component: lazyRouteComponent(() => import('@/features/new-run/new-run'), 'NewRun'),
});

const run = createRoute({
  getParentRoute: () => root,
  path: '/runs/$id',
  validateSearch: (search: Record<string, unknown>) => pick(search, 'tab', 'file'),
  component: lazyRouteComponent(() => import('@/features/run/run-screen'), 'RunScreen'),
});

const session = createRoute({
  getParentRoute: () => root,
  path: '/sessions/$id',
  component: lazyRouteComponent(
    () => import('@/features/sessions/session-screen'),
    'SessionScreen',
  ),
});

const split = createRoute({
  getParentRoute: () => root,
  path: '/split',
  validateSearch: (search: Record<string, unknown>) => pick(search, 'ids'),
  component: lazyRouteComponent(() => import('@/features/sessions/split'), 'Split'),
});

const system = createRoute({
  getParentRoute: () => root,
  path: '/system',
  component: lazyRouteComponent(() => import('@/features/system/system'), 'System'),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  component: lazyRouteComponent(() => import('@/features/settings/settings'), 'Settings'),
});

const installation = createRoute({
  getParentRoute: () => root,
  path: '/settings/installation',
  validateSearch: (search: Record<string, unknown>) => pick(search, 'tab'),
  component: lazyRouteComponent(
    () => import('@/features/installation/installation'),
    'Installation',
  ),
});

const access = createRoute({
  getParentRoute: () => root,
  path: '/access',
  component: lazyRouteComponent(() => import('@/features/access/access'), 'Access'),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: '/audit',
  validateSearch: (search: Record<string, unknown>) =>
    pick(search, 'actor', 'target', 'type', 'outcome', 'since', 'until', 'event'),
  component: lazyRouteComponent(() => import('@/features/audit/audit'), 'Audit'),
});

const design = createRoute({
  getParentRoute: () => root,
  path: '/design',
  component: lazyRouteComponent(() => import('@/features/design/design'), 'Design'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    newRun,
    run,
    session,
    split,
    system,
    settings,
    installation,
    access,
    audit,
    design,
  ]),
  defaultPendingComponent: () => <Skeleton rows={5} />,
  defaultErrorComponent: RouteError,
  defaultPreload: 'intent',
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
