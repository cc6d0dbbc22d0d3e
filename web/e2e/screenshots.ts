import { fileURLToPath } from 'node:url';
import type { Page } from '@playwright/test';
import { expect, ISSUE, REPO, test } from './world';

const DIR = fileURLToPath(new URL('../../docs/images/', import.meta.url));

async function shoot(page: Page, name: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.mouse.move(0, 790);
    await page.screenshot({ path: `${DIR}${name}-${colorScheme}.png`, animations: 'disabled' });
  }
}

test('the main screens, in the light and in the dark', async ({ page, paddock }) => {
  test.setTimeout(240_000);
  await page.goto(`/new?repo=${REPO}&issue=${ISSUE}`);
  await expect(page.getByText('Paddock may push to it')).toBeVisible();
  await expect(page.getByLabel('What is to be done')).toHaveValue(/^Resolve/);
  await shoot(page, 'new-run');
  await page.getByRole('button', { name: 'Start the run' }).click();
  await expect(page).toHaveURL(/\/runs\//);
  const run = page.url().split('/').at(-1) ?? '';
  await paddock.reached(run, 'succeeded');
  await expect(page.getByRole('status').getByText('Succeeded', { exact: true })).toBeVisible();
  await page.locator('[aria-label=Transcript] button').first().click();
  await shoot(page, 'run');
  await page.goto(`/runs/${run}?tab=changes`);
  await expect(page.getByText('Hello, $name!').first()).toBeVisible();
  await shoot(page, 'changes');
  await page.goto(`/runs/${run}?tab=timeline`);
  await expect(page.getByRole('tabpanel').getByRole('listitem').first()).toBeVisible();
  await shoot(page, 'timeline');

  const refused = await paddock.run('Translate the greeting into Finnish', 'fail-400');
  await paddock.reached(refused.run, 'failed');
  const asks = await paddock.run('Find out who may log in here', 'ask-permission', {
    profile: 'careful',
  });
  await paddock.run('Make the greeter faster', 'slow');
  await paddock.reached(asks.run, 'awaiting_input');
  await page.goto('/');
  await expect(page.getByRole('button', { name: 'Allow once' })).toBeVisible();
  const works = page.getByRole('article').filter({ hasText: 'faster' });
  await expect(works).toContainText('Working', { timeout: 30_000 });
  // The last thing that happened there is what the agent says, no more what it was told.
  await expect(works).not.toContainText('scenario', { timeout: 30_000 });
  await page.getByRole('button', { name: /^Done/, expanded: false }).click();
  await shoot(page, 'sessions');

  paddock.stop('model');
  try {
    await page.goto('/system');
    await expect(page.getByRole('main').getByRole('status')).toContainText('Not well: model');
    await shoot(page, 'system');
  } finally {
    paddock.resume();
  }
});
