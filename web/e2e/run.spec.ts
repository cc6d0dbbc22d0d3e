import type { Locator, Page } from '@playwright/test';
import { accessible, expect, test } from './world';

const ended = { timeout: 90_000 };

function transcript(page: Page): Locator {
  return page.getByRole('log', { name: 'Transcript' });
}

async function succeeded(page: Page): Promise<void> {
  await expect(page.getByRole('status').getByText('Succeeded', { exact: true })).toBeVisible(ended);
}

test('what a hostile agent puts out is shown, and does nothing', async ({
  page,
  paddock,
  world,
}) => {
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== world.url && protocol !== 'data:') elsewhere.push(request.url());
  });
  page.on('dialog', (dialog) => {
    elsewhere.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  const { run } = await paddock.run('Be hostile', 'hostile-output');
  await page.goto(`/runs/${run}`);
  await succeeded(page);
  const log = transcript(page);
  await expect(log).toContainText('<script>alert(1)</script>');
  await expect(log).toContainText('⟨U+202E⟩desrever');
  expect(await log.locator('script, img, iframe, a[href^="javascript"]').count()).toBe(0);
  await expect(page).toHaveTitle(/Paddock/);

  await log.focus();
  await page.keyboard.press('Home');
  const call = log.getByRole('button', { name: /^bash/ });
  await call.press('Enter');
  await expect(call).toHaveAttribute('aria-expanded', 'true');
  await expect(log).toContainText('characters before this');
  await expect(log).toContainText('more characters in this line');
  await log.getByRole('button', { name: /Show all of it/ }).press('Enter');
  const whole = page.getByRole('dialog', { name: 'All of it' });
  await expect(whole).toContainText('lines of at most 160 characters');
  await expect(whole).toContainText('red');
  await expect(whole).toContainText('⟨U+202E⟩txt.exe');
  for (const shown of [log, whole]) {
    const text = (await shown.textContent()) ?? '';
    for (const hidden of ['\u0007', '\u001b', '\u202e']) expect(text).not.toContain(hidden);
  }
  await accessible(page);
  await page.keyboard.press('Escape');
  await expect(whole).toBeHidden();
  // Only the document's own links stand there, none the agent's.
  const links = await log
    .getByRole('link')
    .evaluateAll((all) => all.map((a) => a.getAttribute('href')));
  expect(links.filter((href) => !href?.startsWith('#part-'))).toEqual([]);
  expect(elsewhere).toEqual([]);
});

test('the end is followed until somebody scrolls away, and nothing moves then', async ({
  page,
  paddock,
}) => {
  await page.setViewportSize({ width: 1000, height: 460 });
  const { run } = await paddock.run('Slowly, to be followed', 'slow');
  await page.goto(`/runs/${run}`);
  const log = transcript(page);
  await expect(log).toContainText('one word after the other', { timeout: 30_000 });
  const left = () => log.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight);
  const over = () => log.evaluate((e) => e.scrollHeight - e.clientHeight);
  await expect.poll(over, { timeout: 30_000 }).toBeGreaterThan(60);
  expect(await left()).toBeLessThan(48);
  // What stands around it may take room away.
  await page.setViewportSize({ width: 1000, height: 400 });
  await expect.poll(left).toBeLessThan(48);
  await page.setViewportSize({ width: 1000, height: 460 });

  await log.focus();
  await page.keyboard.press('Home');
  await expect.poll(() => log.evaluate((e) => e.scrollTop)).toBe(0);
  const said = log.getByText('Slowly, to be followed');
  const place = async () =>
    ((await said.boundingBox())?.y ?? 0) - ((await log.boundingBox())?.y ?? 0);
  const before = await place();
  await expect(page.getByRole('button', { name: /\d new parts?/ })).toBeVisible(ended);
  await succeeded(page);
  expect(await place()).toBe(before);

  await page.getByRole('button', { name: /new parts?/ }).press('Enter');
  await expect(log.getByText('Done, slowly.')).toBeInViewport();
  expect(await left()).toBeLessThan(2);
  await expect(page.getByRole('button', { name: /new part|To the end/ })).toHaveCount(0);
  await expect(log).toBeFocused();
});

test('a text is found, and a part is linked to, by keyboard', async ({
  page,
  paddock,
  context,
}) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.setViewportSize({ width: 1000, height: 460 });
  const { run } = await paddock.run('Resolve it: greets nobody by name', 'fix-greeter');
  await paddock.reached(run, 'succeeded');
  await page.goto(`/runs/${run}`);
  const log = transcript(page);
  await expect(log.getByText('passes.').last()).toBeVisible();

  await page.keyboard.press('/');
  const find = page.getByRole('textbox', { name: 'Find in the transcript' });
  await expect(find).toBeFocused();
  await page.keyboard.type('I LOOK at it');
  await expect(page.getByRole('search').getByRole('status')).toHaveText('1 of 1');
  const thought = log.getByRole('button', { name: /^Thought/ });
  await expect(thought).toHaveAttribute('aria-expanded', 'true');
  await expect(thought).toBeInViewport();
  await accessible(page);
  await find.fill('no such words');
  await expect(page.getByRole('search').getByRole('status')).toHaveText('Not found');
  await page.keyboard.press('Escape');
  await expect(find).toBeHidden();

  await thought.focus();
  await page.keyboard.press('y');
  await expect(page.getByText('The link is copied')).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toContain(`/runs/${run}#part-`);
  await page.goto('about:blank');
  await page.goto(link);
  await expect(thought).toBeInViewport();
  await page.goto('about:blank');
  await page.goto(`/runs/${run}#part-prt_never`);
  await expect(page.getByText('is not in this transcript')).toBeVisible();
});

test('what is written to the agent is kept over a reload, and sent by keyboard', async ({
  page,
  paddock,
}) => {
  const { run } = await paddock.run('Wait for me', 'never-finish');
  await paddock.reached(run, 'running');
  await page.goto(`/runs/${run}`);
  const composer = page.getByLabel('Say more to the agent');
  await expect(composer).toBeVisible();
  await page.keyboard.press('p');
  await expect(composer).toBeFocused();
  await page.keyboard.type('Half a thought');
  await page.reload();
  await expect(composer).toHaveValue('Half a thought');
  await composer.press('Control+Enter');
  await expect(composer).toHaveValue('');
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'Time line' }).click();
  await expect(page.getByRole('tabpanel')).toContainText('Half a thought');
  await expect(page).toHaveURL(/tab=timeline/);
  await accessible(page);
});
