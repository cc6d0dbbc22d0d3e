import { accessible, expect, tabTo, test } from './world';

const status = { timeout: 40_000 };

test('a run is cancelled by keyboard, after a question whether', async ({ page, paddock }) => {
  const { run } = await paddock.run('Stop it', 'never-finish');
  await paddock.reached(run, 'running');
  await page.goto(`/runs/${run}`);
  await tabTo(page, /^Cancel$/);
  await page.keyboard.press('Enter');
  const asked = page.getByRole('alertdialog').or(page.getByRole('dialog'));
  await expect(asked).toContainText('nothing is published');
  await accessible(page);
  await tabTo(page, 'Cancel the run');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('status').getByText('Cancelled', { exact: true })).toBeVisible(
    status,
  );
  await expect(page.getByRole('button', { name: 'Cancel' })).toHaveCount(0);
  await paddock.reached(run, 'cancelled');
});

test('a run that stays takes a second prompt, and finishes when told, by keyboard', async ({
  page,
  paddock,
}) => {
  const { run } = await paddock.run('Stay', 'leftovers', { linger_seconds: 600 });
  await paddock.reached(run, 'idle');
  await page.goto(`/runs/${run}`);
  await expect(
    page
      .getByRole('status')
      .getByText(/stays until/)
      .first(),
  ).toBeVisible();
  await tabTo(page, 'Say more to the agent');
  await page.keyboard.type('[scenario: empty-diff] What did you do?');
  await page.keyboard.press('Control+Enter');
  await expect(page.getByLabel('Say more to the agent')).toHaveValue('');
  await expect(page.getByText('What did you do?')).toBeVisible();
  await expect(page.getByRole('status').getByText('Idle', { exact: true })).toBeVisible(status);
  await page.getByLabel('Say more to the agent').blur();
  await tabTo(page, /^Finish$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('status').getByText('Succeeded', { exact: true })).toBeVisible(
    status,
  );
  await paddock.reached(run, 'succeeded');
});

test('a session goes on with a further run, and is forked from a snapshot, by keyboard', async ({
  page,
  paddock,
}) => {
  const { session, run } = await paddock.run('Remember the nonce', 'two-turns');
  await paddock.reached(run, 'succeeded');
  const drawn = JSON.stringify(await paddock.call('GET', `runs/${run}/transcript`));
  const nonce = /nonce ([0-9a-f-]{36})/.exec(drawn)?.[1] ?? 'none was drawn';

  await page.goto(`/runs/${run}`);
  await tabTo(page, 'Go on with another prompt');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Another run' })).toBeVisible();
  await expect(page.getByLabel('What is to be done')).toBeFocused();
  await accessible(page);
  await page.keyboard.type('What did you draw?');
  await page.keyboard.press('Control+Enter');
  await expect(page).not.toHaveURL(/\/new/);
  await expect(page.getByText(`You drew ${nonce}`)).toBeVisible(status);
  await expect(page.getByRole('status').getByText('Succeeded', { exact: true })).toBeVisible(
    status,
  );

  await page.keyboard.press('5');
  await expect(page.getByText('goes on from here')).toBeVisible();
  await tabTo(page, 'Fork from here');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Another run' })).toBeVisible();
  const fork = new URL(page.url()).searchParams.get('session') ?? '';
  expect(fork).not.toBe(session);
  await page.keyboard.type('What did you draw, over there?');
  await page.keyboard.press('Control+Enter');
  await expect(page).not.toHaveURL(/\/new/);
  await expect(page.getByText(`You drew ${nonce}`)).toBeVisible(status);
  const forked = await paddock.call<{ branch: string }>('GET', `sessions/${fork}`);
  const first = await paddock.call<{ branch: string }>('GET', `sessions/${session}`);
  expect(forked.branch).not.toBe(first.branch);
});

test('a model that refuses is quoted in its own words', async ({ page, paddock }) => {
  const { run } = await paddock.run('Be refused', 'fail-400');
  await page.goto(`/runs/${run}`);
  const words = 'the request is not one that this model takes';
  await expect(page.getByRole('status').getByText('Failed', { exact: true })).toBeVisible(status);
  await expect(page.getByRole('status').getByText(words)).toBeVisible();
  await accessible(page);
  await page.goto('/');
  const row = page.getByRole('article').filter({ hasText: 'Be refused' });
  await expect(row).toContainText(words);
});

test('what could not be published is published again, by keyboard', async ({ page, paddock }) => {
  test.setTimeout(120_000);
  await paddock.forgeFault('POST', '/api/v3/repos', 1000);
  const { run } = await paddock.run('Publish later', 'leftovers');
  await page.goto(`/runs/${run}`);
  await paddock.reached(run, 'failed');
  await expect(page.getByRole('status').getByText('Failed', { exact: true })).toBeVisible();
  await expect(page.getByRole('status').getByText(/maintenance|502/)).toBeVisible();
  await paddock.forgeFault('POST', '/api/v3/repos', 0);
  await tabTo(page, 'Publish again');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('status').getByRole('link', { name: /#\d+/ })).toBeVisible(status);
  await expect(page.getByRole('button', { name: 'Publish again' })).toHaveCount(0);
});
