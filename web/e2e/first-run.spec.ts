import { accessible, expect, ISSUE, REPO, tabTo, test } from './world';

test('from the empty page to a pull request, by keyboard alone', async ({ page, paddock }) => {
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'See an agent fix a bug' })).toBeVisible();
  await accessible(page);
  await expect(page.getByRole('button', { name: 'Try the sample issue' })).toBeFocused();
  await page.keyboard.press('Enter');

  await expect(page.getByLabel('Repository')).toHaveValue(REPO);
  await expect(page.getByLabel('Issue')).toHaveValue(String(ISSUE));
  await expect(page.getByLabel('What is to be done')).toHaveValue(/^Resolve issue #1: .*greets/);
  await expect(page.getByText('Paddock may push to it')).toBeVisible();
  await accessible(page);
  await tabTo(page, 'What is to be done');
  await page.keyboard.press('Control+Enter');

  await expect(page).toHaveURL(/\/runs\//);
  await expect(page.getByRole('status').getByText('Succeeded')).toBeVisible({ timeout: 45_000 });
  await expect(page.getByRole('link', { name: /#\d+/ }).first()).toBeVisible();
  await expect(page.getByText('passes.').last()).toBeVisible();
  await accessible(page);

  await page.keyboard.press('2');
  await expect(page.getByRole('tab', { name: 'Changes' })).toHaveAttribute('aria-selected', 'true');
  await expect(page.getByText('Hello, $name!').first()).toBeVisible();
  await accessible(page);
  for (const [key, tab] of [
    ['3', 'Time line'],
    ['4', 'Egress'],
    ['5', 'Artifacts'],
  ] as const) {
    await page.keyboard.press(key);
    await expect(page.getByRole('tab', { name: tab })).toHaveAttribute('aria-selected', 'true');
    await accessible(page);
  }

  const { items } = await paddock.call<{ items: { pull_request: { number: number } | null }[] }>(
    'GET',
    'sessions',
  );
  expect(items).toHaveLength(1);
  expect(items[0]?.pull_request?.number).toBeGreaterThan(0);

  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await expect(page.getByRole('heading', { name: 'Done' })).toBeVisible();
  await accessible(page);
});
