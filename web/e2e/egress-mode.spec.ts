import { accessible, expect, test } from './world';

const ended = { timeout: 90_000 };

test('a run is let out further for a reason, and back, by keyboard', async ({ page, paddock }) => {
  const { run } = await paddock.run('Let out', 'never-finish');
  await page.goto(`/runs/${run}?tab=egress`);
  const out = page.getByRole('region', { name: 'Way out' });
  await expect(out).toContainText('GitHub only');
  await out.getByRole('button', { name: 'Allow more' }).press('Enter', ended);
  const dialog = page.getByRole('dialog', { name: 'Let this run reach any public host?' });
  await expect(dialog.getByRole('button', { name: 'Allow it' })).toBeDisabled();
  await accessible(page);
  await dialog.getByRole('textbox', { name: 'Why' }).fill('It needs the package index');
  await dialog.getByRole('button', { name: 'Allow it' }).press('Enter');
  await expect(out).toContainText('Any public host');
  await expect(out).toContainText('“It needs the package index”');
  await accessible(page);
  await out.getByRole('button', { name: 'Back to GitHub only' }).press('Enter');
  await page.getByRole('button', { name: 'Take it back' }).press('Enter');
  await expect(out).toContainText('GitHub only');
});
