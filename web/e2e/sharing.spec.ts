import { type Browser, expect, type Page } from '@playwright/test';
import { REPO } from './paddock';
import { atTheProvider, test } from './provided';
import { accessible } from './world';

/** A browser of somebody's own, signed in at the provider. */
async function somebody(browser: Browser, url: string, login: string): Promise<Page> {
  const context = await browser.newContext({ baseURL: url, reducedMotion: 'reduce' });
  const page = await context.newPage();
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in at 127.0.0.1' }).click();
  await atTheProvider(page, login);
  await expect(page.getByRole('button', { name: /^Account:/ })).toBeVisible();
  return page;
}

/** What the page's own script could ask for. */
async function ask(
  page: Page,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; id: string }> {
  return page.evaluate(
    async ([method, path, body]) => {
      const answer = await fetch(`/api/v1/${path}`, {
        method: method ?? 'GET',
        headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
        ...(body ? { body } : {}),
      });
      const said = (await answer.json().catch(() => ({}))) as { id?: string };
      return { status: answer.status, id: said.id ?? '' };
    },
    [method, path, body ? JSON.stringify(body) : undefined] as const,
  );
}

test('a session is shared with a group: who looks on is offered nothing else, and sees no more once it is taken', async ({
  browser,
  world,
}) => {
  const admin = await somebody(browser, world.paddock.url, 'alice+dev');
  const viewer = await somebody(browser, world.paddock.url, 'bob+ops');
  const { id: session } = await ask(admin, 'POST', 'sessions', { repo: REPO, title: 'Shared' });
  const prompt = '[scenario: never-finish] Look on';
  const { id: run } = await ask(admin, 'POST', `sessions/${session}/runs`, { prompt });
  await expect(viewer.getByRole('heading', { name: 'No session that you may see' })).toBeVisible();
  // That there is one is not said.
  await viewer.goto(`/sessions/${session}`);
  await expect(viewer.getByRole('alert')).toContainText('There is no such session');
  expect((await ask(viewer, 'GET', `sessions/${session}`)).status).toBe(404);

  await admin.goto(`/sessions/${session}`);
  await admin.getByRole('button', { name: 'More' }).click();
  await admin.getByRole('menuitem', { name: 'Share…' }).click();
  const dialog = admin.getByRole('dialog', { name: 'Share this session' });
  await expect(dialog.getByRole('heading', { name: 'Shared with nobody' })).toBeVisible();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('ops');
  await expect(dialog.getByText('Everybody in ops will see this session')).toBeVisible();
  await accessible(admin);
  await dialog.getByRole('button', { name: 'Give it' }).click();
  await expect(dialog.getByRole('listitem').filter({ hasText: 'Group ops' })).toContainText(
    'Viewer',
  );

  await viewer.goto('/');
  await expect(viewer.getByText('Shared', { exact: true }).first()).toBeVisible();
  await viewer.goto(`/sessions/${session}`);
  await expect(viewer.getByRole('heading', { name: 'Shared' })).toBeVisible();
  await expect(viewer.getByRole('link', { name: 'Another run' })).toHaveCount(0);
  await viewer.getByRole('button', { name: 'More' }).click();
  await expect(viewer.getByRole('menuitem')).toHaveText(['Shared with…']);
  await viewer.keyboard.press('Escape');
  await viewer.goto(`/runs/${run}`);
  await expect(viewer.getByText('Look on').first()).toBeVisible();
  await accessible(viewer);
  for (const name of ['Cancel', 'Finish', 'Interrupt', 'Send'])
    await expect(viewer.getByRole('button', { name })).toHaveCount(0);
  await expect(viewer.getByRole('textbox', { name: 'Say more to the agent' })).toHaveCount(0);
  expect((await ask(viewer, 'POST', `runs/${run}/cancel`, {})).status).toBe(403);
  // A place that is not theirs says what is missing, and whom to ask.
  const main = viewer.getByRole('navigation', { name: 'Main' });
  await expect(main.getByRole('link', { name: 'Record' })).toHaveCount(0);
  await viewer.goto('/audit');
  const forbidden = viewer.getByRole('alert').first();
  await expect(forbidden).toContainText('the role admin in');
  await expect(forbidden).toContainText('group:dev');
  await accessible(viewer);

  // Who can, and why; by the rules that decide.
  await admin.goto('/access');
  await admin.getByRole('textbox', { name: 'Action' }).fill('run.cancel');
  await admin.getByRole('textbox', { name: 'On', exact: true }).fill(`session:${session}`);
  await admin.getByRole('textbox', { name: 'By (you, if nobody)' }).fill('group:ops');
  await admin.getByRole('button', { name: 'Explain' }).click();
  const why = admin.getByRole('status').filter({ hasText: 'may not' });
  await expect(why).toContainText('it takes the role maintainer');
  await expect(why.getByRole('region', { name: 'Who may' })).toBeVisible();
  await accessible(admin);

  await viewer.goto(`/runs/${run}`);
  await expect(viewer.getByText('Look on').first()).toBeVisible();
  await admin.goto(`/sessions/${session}`);
  await admin.getByRole('button', { name: 'More' }).click();
  await admin.getByRole('menuitem', { name: 'Share…' }).click();
  await dialog.getByRole('button', { name: 'Take the role Viewer from Group ops' }).click();
  await expect(admin.getByText(/closes within five seconds/)).toBeVisible();
  await admin.getByRole('button', { name: 'Take it' }).click();
  await expect(dialog.getByRole('heading', { name: 'Shared with nobody' })).toBeVisible();
  expect((await ask(viewer, 'GET', `runs/${run}`)).status).toBe(404);
  await viewer.reload();
  await expect(viewer.getByRole('alert').first()).toContainText('There is no such run');
  expect((await ask(admin, 'POST', `runs/${run}/cancel`, {})).status).toBe(202);
  await admin.context().close();
  await viewer.context().close();
});
