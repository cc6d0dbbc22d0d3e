import type { Part } from './paddock';
import { accessible, expect, test } from './world';

const NAMES: Record<Part, string> = {
  database: 'Database',
  relay: 'Relay',
  forge: 'Forge',
  model: 'Model',
  egress: 'Gateway',
};

test('each part that stops is named within five seconds, and that it is back', async ({
  page,
  paddock,
}) => {
  test.setTimeout(180_000);
  await page.goto('/system');
  const sum = page.getByRole('main').getByRole('status');
  await expect(sum).toHaveText('Everything works.');
  await accessible(page);
  try {
    for (const part of Object.keys(NAMES) as Part[]) {
      const item = page.getByRole('listitem').filter({
        has: page.getByRole('heading', { name: new RegExp(`^${NAMES[part]}`) }),
      });
      await test.step(part, async () => {
        paddock.stop(part);
        await expect(item, `${part} is not named`).toContainText('down', { timeout: 5_000 });
        await expect(sum).toContainText(NAMES[part].toLowerCase());
        await expect(item).toContainText('Still works:');
        await expect(item).toContainText(/What to do: \w/);
        await expect(page.getByRole('link', { name: /System.*not well/ })).toBeVisible();
        if (part === 'database') await accessible(page);
        paddock.resume();
        await expect(item).toContainText('well', { timeout: 30_000 });
        await expect(sum).toHaveText('Everything works.', { timeout: 30_000 });
      });
    }
  } finally {
    paddock.resume();
  }
});

test('a server that is gone is said to be gone, and what to do; it comes back without a reload', async ({
  page,
  paddock,
}) => {
  test.setTimeout(120_000);
  await page.goto('/system');
  const sum = page.getByRole('main').getByRole('status');
  await expect(sum).toHaveText('Everything works.');
  await paddock.halt();
  await expect(sum).toContainText('The server does not answer', { timeout: 5_000 });
  await expect(sum).toContainText('paddock up');
  await accessible(page);
  await paddock.begin();
  await expect(sum).toHaveText('Everything works.', { timeout: 60_000 });
  await expect(page.getByRole('button', { name: 'Connected' })).toBeVisible();
});
