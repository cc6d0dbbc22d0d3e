import { accessible, expect, tabTo, test } from './world';

test('a permission is answered in the list, by keyboard', async ({ page, paddock }) => {
  const { run } = await paddock.run('Note that it asked', 'ask-permission', { profile: 'careful' });
  await page.goto('/');
  const ask = page.getByRole('article').filter({ hasText: 'Note that it asked' });
  await expect(ask.getByRole('heading', { name: /The agent asks to/ })).toBeVisible({
    timeout: 30_000,
  });
  await expect(ask).toContainText('/etc');
  await expect(page).toHaveTitle(/1/);
  await accessible(page);
  await page.keyboard.press('j');
  await page.keyboard.press('a');
  await expect(ask.getByRole('button', { name: 'Allow once' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(ask.getByRole('button', { name: 'Allow once' })).toBeHidden();
  expect((await paddock.reached(run, 'succeeded'))['outcome']).toBe('succeeded');
  await expect(page.getByRole('button', { name: /Needs you/ })).toContainText('0');
  await expect(page).not.toHaveTitle(/\d/);
});

test('a permission is refused on the run screen, with a word why, by keyboard', async ({
  page,
  paddock,
}) => {
  const { run } = await paddock.run('Ask and be refused', 'ask-permission', { profile: 'careful' });
  await paddock.reached(run, 'awaiting_input');
  await page.goto(`/runs/${run}`);
  await expect(page.getByRole('heading', { name: /The agent asks to/ })).toBeVisible();
  await accessible(page);
  await tabTo(page, 'Refuse…');
  await page.keyboard.press('Enter');
  await expect(page.getByLabel('What should it do instead?')).toBeFocused();
  await page.keyboard.type('Stay in the workspace');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: /The agent asks to/ })).toBeHidden();
  await paddock.reached(run, 'succeeded', 'failed');
  await expect(page.getByRole('status').getByText(/Succeeded|Failed/)).toBeVisible();
  const { items } = await paddock.call<{ items: unknown[] }>('GET', `runs/${run}/transcript`);
  expect(JSON.stringify(items)).toContain('Stay in the workspace');
});

test('a question is answered with a choice, by keyboard', async ({ page, paddock }) => {
  const { run } = await paddock.run('Which colour is it', 'ask-question');
  await page.goto(`/runs/${run}`);
  await expect(page.getByText('Which colour?').first()).toBeVisible({ timeout: 30_000 });
  await accessible(page);
  await tabTo(page, 'Cerulean');
  await page.keyboard.press('Space');
  await expect(page.getByRole('button', { name: /Cerulean/ })).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  await tabTo(page, /^Answer$/);
  await page.keyboard.press('Enter');
  await paddock.reached(run, 'succeeded');
  await expect(page.getByText('A good choice.')).toBeVisible();
  const { items } = await paddock.call<{ items: unknown[] }>('GET', `runs/${run}/transcript`);
  expect(JSON.stringify(items)).toContain('Cerulean');
});
