import { accessible, expect, test } from './world';

const NOBODY = '01a20000-0000-7000-8000-000000000000';

test('a session, its peek, two side by side, the palette and the help sheet read well in both themes', async ({
  page,
  paddock,
}) => {
  const one = await paddock.run('The first of two', 'empty-diff');
  const two = await paddock.run('The second of two', 'leftovers');
  await paddock.reached(one.run, 'succeeded');
  await paddock.reached(two.run, 'succeeded');

  await page.goto(`/sessions/${one.session}`);
  await expect(page.getByRole('heading', { name: 'The first of two' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Runs' })).toBeVisible();
  await accessible(page);

  await page.goto(`/?peek=${two.session}`);
  // Whether its group is folded or not.
  for (const _ of [1, 2]) {
    await expect(page.getByRole('log', { name: 'Transcript' })).toContainText('farewell');
    await page.getByRole('button', { name: /^Done/ }).click();
  }
  await accessible(page);
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('dialog')).toBeVisible();
  await accessible(page);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Shortcuts' })).toBeVisible();
  await accessible(page);
  await page.keyboard.press('Escape');

  await page.goto(`/split?ids=${one.session},${two.session}`);
  await expect(page.getByRole('log', { name: 'Transcript' })).toHaveCount(2);
  await accessible(page);
});

test('what is not there is said, with a way on, and reads well in both themes', async ({
  page,
}) => {
  await page.goto('/nowhere');
  await expect(page.getByText('There is no such page')).toBeVisible();
  await accessible(page);
  for (const place of [`/runs/${NOBODY}`, `/sessions/${NOBODY}`]) {
    await page.goto(place);
    await expect(page.getByRole('main')).toContainText(/no such|not here|not there|gone/i);
    await accessible(page);
  }
  await page.goto('/split');
  await expect(page.getByText('Nothing is side by side yet')).toBeVisible();
  await accessible(page);
});

test('a page that does not come whole is loaded again, and says so when that does not help', async ({
  page,
}) => {
  let lost = 1;
  await page.route('**/assets/*.js', (route) => {
    lost -= 1;
    return lost >= 0 ? route.abort('failed') : route.continue();
  });
  await page.goto('/settings');
  await expect(page.getByRole('heading', { name: 'API tokens' })).toBeVisible();
  expect(lost).toBeLessThan(0);
  lost = Number.POSITIVE_INFINITY;
  await page.goto('/settings');
  await expect(page.getByText('The page did not come whole')).toBeVisible();
  lost = 0;
  await page.reload();
  await expect(page.getByRole('heading', { name: 'API tokens' })).toBeVisible();
});
