import { accessible, expect, tabTo, test } from './world';

test('the record is filtered, an event is told with cause and effects and proven, by keyboard', async ({
  page,
  paddock,
}) => {
  const { run } = await paddock.run('Say hello', 'fix-greeter');
  await page.goto('/');
  await page
    .getByRole('navigation', { name: 'Main' })
    .getByRole('link', { name: 'Record' })
    .click();
  await expect(page.getByText(/positions are signed/)).toBeVisible();
  await expect(page.getByRole('link', { name: 'Take it out as a file' })).toBeVisible();
  await accessible(page);

  await tabTo(page, 'About what');
  await page.keyboard.type(`run-${run}`);
  await tabTo(page, 'What happened');
  await page.keyboard.type('run.requested');
  await page.keyboard.press('Enter');
  const list = page
    .getByRole('region', { name: 'Events' })
    .or(page.locator('section').filter({ hasText: 'the newest first' }));
  await expect(list.getByRole('button', { name: /run\.requested/ })).toHaveCount(1);
  await list.getByRole('button', { name: /run\.requested/ }).press('Enter');
  // What the same command did, and what came of it.
  await expect(page.getByRole('heading', { name: 'By the same command' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'What came of it' })).toBeVisible();
  await expect(page.getByRole('button', { name: /run\.prompt\.submitted/ })).toBeVisible();
  await expect(page.getByRole('button', { name: /run\.admitted/ }).first()).toBeVisible();
  await expect(page.getByText(/Proven in this browser/)).toBeVisible();
  await accessible(page);
  await page.getByRole('button', { name: /run\.prompt\.submitted/ }).press('Enter');
  await expect(page.getByText('[scenario: fix-greeter] Say hello')).toBeVisible();

  // Again, it goes on from what this browser saw; and one that does not is said so.
  await page.reload();
  await expect(page.getByText(/go on from the [\d,.]+ that this browser saw/)).toBeVisible();
  await page.evaluate(() => {
    const seen = JSON.parse(localStorage.getItem('paddock.audit.seen') ?? '{}');
    const lines = seen.note.split('\n');
    lines[2] = btoa('another root, of thirty-two bytes');
    localStorage.setItem('paddock.audit.seen', JSON.stringify({ ...seen, note: lines.join('\n') }));
  });
  await page.reload();
  await expect(page.getByRole('alert')).toContainText('not the log that was seen before');
  await expect(page.getByRole('alert')).toContainText('forked');
  await expect(page.getByText(/Proven in this browser/)).toHaveCount(0);
  await accessible(page);
});

test('a filter that nothing fits says so, and another time is no time', async ({ page }) => {
  await page.goto('/audit?type=nothing.such');
  await expect(page.getByRole('heading', { name: 'Nothing was recorded that fits' })).toBeVisible();
  await page.getByRole('button', { name: 'Show everything' }).click();
  await expect(page.getByRole('button', { name: /session\.|actor\.|run\./ }).first()).toBeVisible();
  await page.goto('/audit?event=999999999');
  await expect(page.getByRole('heading', { name: 'There is no such event' })).toBeVisible();
});
