import { accessible, expect, tabTo, test } from './world';

test('a token is made, shown once, used and revoked, by keyboard', async ({ page, world }) => {
  await page.goto('/settings');
  await expect(page.getByRole('heading', { name: 'API tokens' })).toBeVisible();
  await tabTo(page, 'New token');
  await page.keyboard.type('A script of mine');
  await page.keyboard.press('Enter');
  const shown = page.getByRole('status').filter({ hasText: 'This is shown once' });
  const token = (await shown.locator('code').textContent()) ?? '';
  expect(token.length).toBeGreaterThan(20);
  await accessible(page);
  const me = () =>
    fetch(`${world.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } });
  expect((await me()).status).toBe(200);

  await page.reload();
  const item = page.getByRole('listitem').filter({ hasText: 'A script of mine' });
  await expect(item).toBeVisible();
  await expect(page.getByText(token)).toHaveCount(0);
  await item.getByRole('button', { name: 'Revoke A script of mine' }).focus();
  await page.keyboard.press('Enter');
  await tabTo(page, 'Revoke it');
  await page.keyboard.press('Enter');
  await expect(item).toHaveCount(0);
  expect((await me()).status).toBe(401);
});

test('the theme is kept, and every component reads well in both', async ({ page }) => {
  await page.goto('/settings');
  const theme = page.getByRole('button', { name: /Theme: / });
  await theme.click();
  await theme.click();
  const background = () =>
    page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  await expect.poll(background).toBe('dark');
  await page.reload();
  await expect.poll(background).toBe('dark');
  await theme.click();
  await page.goto('/design');
  await expect(page.getByRole('heading').first()).toBeVisible();
  await accessible(page);
});

test('without a sign-in the page says how to get a link', async ({ browser, world }) => {
  const context = await browser.newContext({
    baseURL: world.url,
    storageState: { cookies: [], origins: [] },
  });
  const page = await context.newPage();
  await page.goto('/system');
  await expect(page.getByRole('heading', { name: 'Sign in to Paddock' })).toBeVisible();
  await expect(page.getByText('paddock login')).toBeVisible();
  await accessible(page);
  await context.close();
});
