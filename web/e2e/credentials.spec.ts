import { accessible, expect, tabTo, test } from './world';

const TOKEN = `github_pat_${'a'.repeat(30)}_page_canary`;

test('a credential is registered, seen to be refused, rotated and revoked, by keyboard', async ({
  page,
}) => {
  await page.goto('/credentials');
  await expect(page.getByRole('heading', { name: 'No credential' })).toBeVisible();
  await accessible(page);
  await tabTo(page, 'Register a credential');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Register a credential' });
  await expect(dialog).toBeVisible();
  await accessible(page);
  await dialog.getByLabel('Name').fill('work');
  await dialog.getByLabel('Token', { exact: true }).fill('ghp_'.padEnd(40, 'a'));
  await page.keyboard.press('Enter');
  await expect(dialog.getByText(/is a classic token/)).toBeVisible();
  await dialog.getByLabel('Token', { exact: true }).fill(TOKEN);
  await dialog.getByLabel('Repository to verify it on').fill('octo-demo/greeter');
  await page.keyboard.press('Enter');
  await expect(dialog).toHaveCount(0);

  const card = page.locator('section').filter({ has: page.getByRole('heading', { name: 'work' }) });
  // The demo's forge does not know it, and that is said plainly.
  await expect(card.getByText('Refused', { exact: true })).toBeVisible();
  await expect(card.getByText(/wrong, expired or revoked there/)).toBeVisible();
  await expect(card.getByText('Your runs carry it')).toBeVisible();
  expect(await page.content()).not.toContain(TOKEN);
  await tabTo(page, 'Who may use work, and where it was used');
  await page.keyboard.press('Enter');
  await expect(card.getByText('In no run that you may see.')).toBeVisible();
  await accessible(page);

  await tabTo(page, 'Rotate work');
  await page.keyboard.press('Enter');
  const rotate = page.getByRole('dialog', { name: 'Rotate work' });
  await rotate.getByLabel('Token', { exact: true }).fill(`${TOKEN}_2`);
  await accessible(page);
  await page.keyboard.press('Enter');
  await expect(card.getByText(/generation 2/)).toBeVisible();

  // The form of a new run offers it.
  await page.goto('/new');
  await expect(page.getByRole('button', { name: /Credential/ })).toContainText('work');
  await page.goto('/credentials');
  await tabTo(page, 'Revoke work');
  await page.keyboard.press('Enter');
  await tabTo(page, 'Revoke it');
  await page.keyboard.press('Enter');
  await expect(card.getByText('Revoked', { exact: true })).toBeVisible();
  await expect(card.getByRole('button', { name: 'Rotate work' })).toHaveCount(0);
  await accessible(page);
});
