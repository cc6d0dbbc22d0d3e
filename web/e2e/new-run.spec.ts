import { accessible, expect, ISSUE, REPO, tabTo, test } from './world';

test('a repository is looked at while it is typed, and its issue fills the prompt', async ({
  page,
  paddock,
}) => {
  await page.goto('/new');
  const repository = page.getByLabel('Repository');
  await expect(repository).toBeFocused();
  await page.keyboard.type('octo-demo');
  await expect(page.getByText('That is not owner/name yet.')).toBeVisible();
  await page.keyboard.type('/nowhere');
  await expect(repository).toHaveAttribute('aria-invalid', 'true');
  await expect(repository).toHaveAccessibleDescription(
    /no such|not found|cannot see|does not exist/i,
  );
  await accessible(page);
  await expect(page.getByRole('button', { name: 'Start the run' })).toBeDisabled();

  await repository.fill(`https://github.com/${REPO}/issues/${ISSUE}`);
  await expect(page.getByText('Paddock may push to it')).toBeVisible();
  await expect(page.getByLabel('Issue')).toHaveValue(String(ISSUE));
  await expect(page.getByLabel('What is to be done')).toHaveValue(/^Resolve issue #1/);
  await tabTo(page, 'Base branch');
  await page.keyboard.type('nowhere');
  await expect(page.getByLabel('Base branch')).toHaveAccessibleDescription(/no such branch/);
  await page.getByLabel('Base branch').fill('main');

  // What somebody wrote stays, whichever issue is picked.
  await page.getByLabel('What is to be done').fill('[scenario: empty-diff] Look around');
  await page.getByLabel('Issue').selectOption('');
  await page.getByLabel('Issue').selectOption(String(ISSUE));
  await expect(page.getByLabel('What is to be done')).toHaveValue(/Look around$/);
  await expect(page.getByRole('button', { name: /Way out/ })).toContainText('GitHub only');
  // Not the first by name, which is another.
  await expect(page.getByRole('button', { name: /Profile/ })).toContainText('default');
  await tabTo(page, 'Open the pull request as a draft');
  await page.keyboard.press('Space');
  await page.keyboard.press('Control+Enter');
  await expect(page).toHaveURL(/\/runs\//);
  const run = page.url().split('/').at(-1) ?? '';
  const made = await paddock.call('GET', `runs/${run}`);
  expect(made).toMatchObject({ base: 'main', issue: ISSUE, draft: true, profile: 'default' });
});

test('what the server refuses is said beside its field, and nothing is lost', async ({ page }) => {
  await page.goto(`/new?repo=${REPO}&issue=99&prompt=Fix%20it`);
  await expect(page.getByText('Paddock may push to it')).toBeVisible();
  await tabTo(page, 'What is to be done');
  await page.keyboard.press('Control+Enter');
  const issue = page.getByLabel('Issue');
  await expect(issue).toHaveAccessibleDescription('the repository has no issue #99');
  await expect(issue).toHaveAttribute('aria-invalid', 'true');
  await accessible(page);
  await expect(page.getByLabel('What is to be done')).toHaveValue('Fix it');
  await expect(page).toHaveURL(/\/new/);
});
