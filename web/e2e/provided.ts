import { test as base, type Page } from '@playwright/test';
import { Paddock } from './paddock';
import { freePort, Provider } from './provider';

interface Worlds {
  world: { paddock: Paddock; provider: Provider };
}

// An installation at which people sign in at a provider, and the provider.
export const test = base.extend<object, Worlds>({
  world: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures from the pattern.
    async ({}, use) => {
      const listen = `127.0.0.1:${await freePort()}`;
      const provider = await Provider.start(`http://${listen}`);
      const paddock = await Paddock.start(provider.settings, listen);
      await use({ paddock, provider });
      await paddock.end();
      await provider.end();
    },
    { scope: 'worker', timeout: 180_000 },
  ],
  baseURL: async ({ world }, use) => use(world.paddock.url),
});

/** What a person does at the provider. */
export async function atTheProvider(page: Page, login: string): Promise<void> {
  await page.getByPlaceholder('Enter any login').fill(login);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}
