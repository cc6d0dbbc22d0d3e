import AxeBuilder from '@axe-core/playwright';
import {
  type Browser,
  type BrowserContext,
  test as base,
  expect,
  type Page,
} from '@playwright/test';
import { Paddock } from './paddock';

export { expect } from '@playwright/test';
export { ISSUE, REPO } from './paddock';

/** A running installation, and the address where a browser sees its page. */
export interface World {
  paddock: Paddock;
  url: string;
}

/** A browser that is signed in at an installation by a new link of its own. */
export async function signedIn(browser: Browser, { paddock, url }: World): Promise<BrowserContext> {
  const context = await browser.newContext({ baseURL: url });
  const link = await paddock.link();
  const page = await context.newPage();
  await page.goto(`${url}${new URL(link).pathname}${new URL(link).search}`);
  await page.close();
  return context;
}

interface Fixtures {
  paddock: Paddock;
  /** What the page logged that it should not have: checked to be empty after each test. */
  clean: undefined;
}

interface WorkerFixtures {
  world: World;
  state: Awaited<ReturnType<BrowserContext['storageState']>>;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  // One installation for all tests of a worker; a test that breaks it starts its own.
  world: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures from the pattern.
    async ({}, use) => {
      const paddock = await Paddock.start();
      await use({ paddock, url: paddock.url });
      await paddock.end();
    },
    { scope: 'worker', timeout: 180_000 },
  ],
  state: [
    async ({ browser, world }, use) => {
      const context = await signedIn(browser, world);
      const state = await context.storageState();
      await context.close();
      await use(state);
    },
    { scope: 'worker' },
  ],
  baseURL: async ({ world }, use) => use(world.url),
  storageState: async ({ state }, use) => use(state),
  paddock: async ({ world }, use) => {
    await use(world.paddock);
    await world.paddock.quiet();
  },
  clean: [
    async ({ page }, use) => {
      const seen = complaints(page);
      await use(undefined);
      expect(seen, 'the page complained').toEqual([]);
    },
    { auto: true },
  ],
});

/** What goes wrong inside a page, as it goes wrong: errors nobody caught, and what its policy refused. */
export function complaints(page: Page): string[] {
  const seen: string[] = [];
  page.on('pageerror', (error) => seen.push(error.message));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) seen.push(message.text());
  });
  return seen;
}

/** No serious finding of axe, in the light and in the dark. */
export async function accessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const axe = new AxeBuilder({ page });
    // Colours are all that differs in the dark.
    if (colorScheme === 'dark') axe.withRules(['color-contrast']);
    const { violations } = await axe.analyze();
    const serious = violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => ({
        id,
        nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]),
      }));
    expect(serious, `axe, ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** Presses Tab until what has the focus is called that. */
export async function tabTo(page: Page, name: string | RegExp, most = 60): Promise<void> {
  for (let pressed = 0; pressed < most; pressed += 1) {
    const focused = page.locator(':focus');
    if ((await focused.count()) > 0) {
      const called = await focused.evaluate((element) => {
        const labels = 'labels' in element ? [...((element as HTMLInputElement).labels ?? [])] : [];
        // A panel holds the words of all that is in it.
        const panel = '[role=tabpanel], [role=log], :not(a, button, summary, [role])';
        const own = element.matches(panel) ? '' : element.textContent;
        return (element.getAttribute('aria-label') ?? (labels[0]?.textContent || own || '')).trim();
      });
      if (typeof name === 'string' ? called.includes(name) : name.test(called)) return;
    }
    await page.keyboard.press('Tab');
  }
  throw new Error(`no Tab leads to ${name}`);
}
