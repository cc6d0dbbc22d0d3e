import type { Locator, Page } from '@playwright/test';
import { Wire } from './wire';
import { complaints, expect, test } from './world';

const PHRASE = 'one word after the other';

function transcript(page: Page): Locator {
  return page.getByRole('log', { name: 'Transcript' });
}

/** What a transcript shows, without the times: those go on. */
async function words(page: Page): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: as it is seen, with its breaks.
  const text = await transcript(page).innerText();
  return text.replace(/\d+(\.\d+)? m?s\b/g, '').replace(/\s+/g, ' ');
}

async function ended(page: Page): Promise<void> {
  const state = page.getByRole('status').getByText('Succeeded', { exact: true });
  await expect(state).toBeVisible({ timeout: 40_000 });
}

test('reloaded in the middle of a run, the page shows what is stored', async ({
  page,
  paddock,
}) => {
  const { run } = await paddock.run('Slowly', 'slow');
  await page.goto(`/runs/${run}`);
  await expect(transcript(page)).toContainText(PHRASE, { timeout: 30_000 });
  await page.reload();
  await expect(transcript(page)).toContainText(PHRASE);
  await ended(page);
  await expect(transcript(page)).toContainText('Done, slowly.');
  const live = await words(page);
  expect(live.split(PHRASE)).toHaveLength(13);
  await page.reload();
  await expect(transcript(page)).toContainText('Done, slowly.');
  expect(await words(page)).toBe(live);
});

test('cut from the network in the middle of a run, the page says so and catches up', async ({
  browser,
  state,
  world,
  paddock,
}) => {
  const wire = await Wire.to(world.url);
  const context = await browser.newContext({ baseURL: wire.url, storageState: state });
  try {
    const page = await context.newPage();
    const seen = complaints(page);
    // Seen from before the agent begins: however slow the machine, the cut is in the middle.
    const { run } = await paddock.run('Wait', 'empty-diff', { linger_seconds: 600 });
    await paddock.reached(run, 'idle');
    await page.goto(`/runs/${run}`);
    await expect(page.getByRole('button', { name: 'Connected' })).toBeVisible();
    const prompt = '[scenario: slow] Slowly, with a cut';
    await paddock.call('POST', `runs/${run}/prompts`, { prompt });
    await expect(transcript(page)).toContainText(PHRASE, { timeout: 30_000 });
    wire.cut();
    await expect(page.getByRole('status').getByText('Not live')).toBeVisible();
    await paddock.reached(run, 'idle');
    await paddock.call('POST', `runs/${run}/finish`, {});
    await paddock.reached(run, 'succeeded');
    await expect(transcript(page)).not.toContainText('Done, slowly.');
    wire.mend();
    await expect(page.getByRole('button', { name: 'Connected' })).toBeVisible({ timeout: 40_000 });
    await expect(transcript(page)).toContainText('Done, slowly.');
    await ended(page);
    const live = await words(page);
    expect(live.split(PHRASE)).toHaveLength(13);
    await page.reload();
    await expect(transcript(page)).toContainText('Done, slowly.');
    expect(await words(page)).toBe(live);
    expect(seen).toEqual([]);
  } finally {
    await context.close();
    await wire.close();
  }
});

test('two tabs share one connection, and what is done in one shows in the other', async ({
  page,
  context,
  paddock,
}) => {
  const streams: string[] = [];
  context.on('request', (request) => {
    if (request.url().includes('/api/v1/events')) streams.push(request.url());
  });
  const { run } = await paddock.run('Seen twice', 'ask-permission', { profile: 'careful' });
  // Found by its name: what is done is folded away while somebody else needs you.
  await page.goto('/?q=seen%20twice');
  const other = await context.newPage();
  const seen = complaints(other);
  await other.goto(`/runs/${run}`);
  const asked = other.getByRole('heading', { name: /The agent asks to/ });
  await expect(asked).toBeVisible({ timeout: 40_000 });
  const row = page.getByRole('article').filter({ hasText: 'Seen twice' });
  await row.getByRole('button', { name: 'Allow once' }).click();
  await expect(asked).toBeHidden();
  await expect(other.getByRole('status').getByText('Succeeded', { exact: true })).toBeVisible({
    timeout: 40_000,
  });
  await expect(row).toContainText('Succeeded');
  // The stream is the shared worker's, not a tab's.
  expect(streams).toEqual([]);
  expect(seen).toEqual([]);
});
