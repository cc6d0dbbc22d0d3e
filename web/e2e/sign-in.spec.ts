import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from '@playwright/test';
import { program } from './paddock';
import { atTheProvider, test } from './provided';
import { accessible, complaints } from './world';

test('somebody signs in, makes a token, lets a command line in, and signs out', async ({
  page,
  world,
}) => {
  const seen = complaints(page);
  await page.goto('/system');
  await expect(page.getByRole('heading', { name: 'Sign in to Paddock' })).toBeVisible();
  await accessible(page);
  await page.getByRole('button', { name: 'Sign in at 127.0.0.1' }).click();
  await atTheProvider(page, 'alice+dev');
  // Back where they wanted to go.
  await expect(page).toHaveURL(`${world.paddock.url}/system`);
  await page.getByRole('button', { name: 'Account: alice' }).click();
  await expect(page.getByText('alice@idp.test')).toBeVisible();
  await expect(page.getByText('Groups: dev')).toBeVisible();
  await accessible(page);
  await page.getByRole('menuitem', { name: 'API tokens' }).click();

  await page.getByLabel('New token').fill('A script of mine');
  await page.getByRole('button', { name: /It may do/ }).click();
  await page.getByRole('option', { name: /Viewer/ }).click();
  await page.getByRole('button', { name: 'Make it' }).click();
  const shown = page.getByRole('status').filter({ hasText: 'This is shown once' });
  const token = (await shown.locator('code').textContent()) ?? '';
  await accessible(page);
  const ask = (method: string, path: string) =>
    fetch(`${world.paddock.url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(method === 'GET' ? {} : { body: '{"name":"x"}' }),
    });
  expect((await ask('GET', 'sessions')).status).toBe(200);
  expect((await ask('POST', 'tokens')).status).toBe(403);
  await page.reload();
  const own = page.getByRole('list', { name: 'Your tokens' });
  const item = own.getByRole('listitem').filter({ hasText: 'A script of mine' });
  await expect(item).toContainText('viewer at most');
  await expect(item).toContainText('last used');
  await item.getByRole('button', { name: 'Revoke A script of mine' }).click();
  await page.getByRole('button', { name: 'Revoke it' }).click();
  await expect(item).toHaveCount(0);
  expect((await ask('GET', 'sessions')).status).toBe(401);
  // Of a group of admins: they see and end everybody's.
  const all = page.getByRole('list', { name: 'Everybody’s tokens' });
  const others = all.getByRole('listitem').filter({ hasText: 'of Local user' });
  await expect(others).toContainText('paddock up');
  await others.getByRole('button', { name: 'Revoke paddock up' }).click();
  await expect(page.getByRole('dialog', { name: 'Revoke a token of Local user?' })).toBeVisible();
  await accessible(page);
  await page.getByRole('button', { name: 'Revoke it' }).click();
  await expect(others).toHaveCount(0);

  // The command line: it prints where to let it in, and the browser brings it its code.
  const config = mkdtempSync(join(tmpdir(), 'paddock-cli-'));
  const env = { ...process.env, XDG_CONFIG_HOME: config, DISPLAY: '', WAYLAND_DISPLAY: '' };
  const server = ['--server', world.paddock.url];
  const login = spawn(program(), ['login', ...server], { env });
  const ended = new Promise<number | null>((done) => login.once('exit', done));
  let said = '';
  const url = await new Promise<string>((done, fail) => {
    login.stderr.on('data', (data) => {
      said += String(data);
      const found = /http\S+\/cli\?\S+/.exec(said);
      if (found) done(found[0]);
    });
    login.once('exit', () => fail(new Error(said)));
  });
  await page.goto(url);
  await expect(page.getByRole('heading', { name: 'Let this command line in?' })).toBeVisible();
  await accessible(page);
  await page.getByRole('button', { name: 'Let it in' }).click();
  await expect(page.getByText('You are signed in. Go on in the terminal')).toBeVisible();
  expect(await ended).toBe(0);
  const servers = join(config, 'paddock/servers');
  for (const file of readdirSync(servers))
    expect(statSync(join(servers, file)).mode & 0o777).toBe(0o600);
  const run = (...args: string[]) =>
    promisify(execFile)(program(), [...args, ...server, '--json'], { env });
  const me = JSON.parse((await run('whoami')).stdout) as { name: string; by: string };
  expect(me).toMatchObject({ name: 'alice', by: 'token' });
  await run('logout');
  const refused = (await run('whoami').catch((error: unknown) => error)) as { stdout?: string };
  expect(refused.stdout).toContain('nobody is signed in');

  await page.goto('/');
  await page.getByRole('button', { name: 'Account: alice' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  // On to the provider, which asks whether to sign out there too, and back.
  await page.getByRole('button', { name: /Yes, sign me out/ }).click();
  await expect(page).toHaveURL(`${world.paddock.url}/sign-in`);
  await expect(page.getByRole('heading', { name: 'Sign in to Paddock' })).toBeVisible();
  expect(seen).toEqual([]);
});

test('a sign-in that fails says why and what to do', async ({ page, world }) => {
  await page.goto('/sign-in?failed=person-disabled');
  await expect(page.getByRole('alert')).toContainText('Your account is switched off here');
  await expect(page.getByRole('alert')).toContainText('Ask an administrator');
  await accessible(page);
  // A callback that this browser did not begin.
  await page.goto('/login/callback?code=x&state=y');
  await expect(page.getByRole('alert')).toContainText('took too long, or was used before');
  // While the provider is away somebody who is signed in goes on.
  await page.getByRole('button', { name: 'Sign in at 127.0.0.1' }).click();
  await atTheProvider(page, 'bob');
  await expect(page.getByRole('button', { name: 'Account: bob' })).toBeVisible();
  await world.provider.end();
  await page.reload();
  await expect(page.getByRole('button', { name: 'Account: bob' })).toBeVisible();
  await world.provider.begin();
});
