import { accessible, expect, tabTo, test } from './world';

test('limits, hosts and a profile are changed while everything runs, checked first, told as a diff, and kept with who did it', async ({
  page,
  paddock,
}) => {
  await page.goto('/settings');
  await tabTo(page, 'Settings of the installation');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Settings of the installation' })).toBeVisible();
  const dialog = page.getByRole('dialog');

  await test.step('a limit, by keyboard: what is wrong is said at its field', async () => {
    await expect(
      page.getByText('as it is by default').or(page.getByText('from the configuration')),
    ).toBeVisible();
    await tabTo(page, 'In the whole installation');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('99999');
    await page.keyboard.press('Enter');
    await expect(page.getByText('must be from 0 to 10000')).toBeVisible();
    await expect(dialog).toHaveCount(0);
    await tabTo(page, 'In the whole installation');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('7');
    await page.keyboard.press('Enter');
    await expect(dialog.getByRole('row', { name: /max_runs .*7/ })).toBeVisible();
    await expect(
      dialog.getByText(/Holds from the next admission on.*0 runs are active/),
    ).toBeVisible();
    await accessible(page);
    await tabTo(page, 'Save');
    await page.keyboard.press('Enter');
    await expect(dialog).toHaveCount(0);
    await expect(page.getByText(/changed by you/)).toBeVisible();
    const settings = await paddock.call<{ limits: { value: { max_runs: number } } }>(
      'GET',
      'settings',
    );
    expect(settings.limits.value.max_runs).toBe(7);
  });

  await test.step('hosts: a rule that is none is named', async () => {
    await page.getByRole('tab', { name: 'Allow-list' }).click();
    const rules = page.getByRole('textbox', { name: 'Allow-list, a rule a line' });
    await rules.fill('registry.npmjs.org\nhttps://example.org/x');
    await page.getByRole('button', { name: 'Review the change' }).click();
    await expect(page.getByText(/https:\/\/example.org\/x is an address of a page/)).toBeVisible();
    await rules.fill('registry.npmjs.org\n.example.org');
    await page.getByRole('button', { name: 'Review the change' }).click();
    await expect(dialog.getByText('+ .example.org')).toBeVisible();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dialog).toHaveCount(0);
    await accessible(page);
  });

  await test.step('a profile is made; what looks like a secret is refused; runs take it', async () => {
    await page.getByRole('tab', { name: 'Profiles' }).click();
    await page.getByRole('button', { name: 'New profile' }).click();
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('patient');
    await page.getByRole('textbox', { name: 'Description' }).fill('Waits longer');
    await page.getByRole('textbox', { name: 'Memory, in MiB' }).fill('1024');
    await page.getByRole('button', { name: 'Add a variable' }).click();
    await page.getByRole('textbox', { name: 'Name of variable 1' }).fill('NPM_TOKEN');
    await page.getByRole('textbox', { name: 'Value of variable 1' }).fill('abc');
    await page.getByRole('button', { name: 'Review the change' }).click();
    await expect(page.getByText(/looks like a secret/)).toBeVisible();
    await page.getByRole('textbox', { name: 'Name of variable 1' }).fill('GREETING');
    await accessible(page);
    await page.getByRole('button', { name: 'Review the change' }).click();
    await expect(dialog.getByRole('row', { name: /env.GREETING/ })).toBeVisible();
    await expect(dialog.getByText(/keeps what its profile gave/)).toBeVisible();
    await dialog.getByRole('button', { name: 'Save' }).click();
    const item = page.getByRole('listitem').filter({ hasText: 'patient' });
    await expect(item).toContainText('1024 MiB');

    const { run } = await paddock.run('With a profile', 'slow', { profile: 'patient' });
    await paddock.reached(run, 'running');
    await item.getByRole('button', { name: 'Remove patient' }).click();
    await expect(dialog.getByText(/This is so for 1 run/)).toBeVisible();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(item).toHaveCount(0);
    await paddock.quiet();
  });

  await test.step('retention says what goes; the history says who', async () => {
    await page.getByRole('tab', { name: 'Retention' }).click();
    await page.getByRole('textbox', { name: /Outputs and recordings/ }).fill('30');
    await page.getByRole('button', { name: 'Review the change' }).click();
    await expect(
      dialog.getByText(/The next sweep removes .* and the output of no run/),
    ).toBeVisible();
    await dialog.getByRole('button', { name: 'Leave it' }).click();

    await page.getByRole('tab', { name: 'History' }).click();
    const changes = page.getByRole('list', { name: 'Changes' }).getByRole('listitem');
    await expect(changes).toHaveCount(4);
    await expect(changes.nth(0)).toContainText('Profile patient removed');
    await expect(changes.nth(0)).toContainText('by you');
    await expect(changes.nth(3).getByRole('row', { name: /max_runs/ })).toContainText('7');
    await accessible(page);
  });

  await test.step('what somebody else changed meanwhile is not undone', async () => {
    await page.getByRole('tab', { name: 'Limits' }).click();
    await page.getByRole('textbox', { name: 'In the whole installation' }).fill('3');
    await paddock.call('PUT', 'settings/limits', { max_runs: 5, max_runs_per_owner: 4 });
    await page.getByRole('button', { name: 'Review the change' }).click();
    await expect(page.getByRole('textbox', { name: 'In the whole installation' })).toHaveValue('5');
    for (const path of ['limits', 'allow-list'])
      await paddock.call('DELETE', `settings/${path}`, {});
  });

  await test.step('a server that does not answer is said, and can be asked again', async () => {
    await page.route('**/api/v1/settings', (route) => route.abort());
    await page.reload();
    await expect(page.getByRole('alert')).toContainText('does not answer', { timeout: 60_000 });
    await page.unroute('**/api/v1/settings');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(page.getByRole('textbox', { name: 'In the whole installation' })).toBeVisible();
  });
});
