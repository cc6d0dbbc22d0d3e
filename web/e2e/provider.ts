import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLIENT = 'paddock';
const SECRET = 'the secret of the client of the tests, which is long enough';

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

/** A real OpenID provider of the tests' own (`tests/oidc/provider.mjs`). */
export class Provider {
  private child: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly url: string,
  ) {}

  /** One that knows the server at `url` as its client. */
  static async start(url: string): Promise<Provider> {
    const provider = new Provider(await freePort(), url);
    await provider.begin();
    return provider;
  }

  async begin(): Promise<void> {
    const package_ = execFileSync(join(ROOT, 'scripts/oidc-provider'), { encoding: 'utf8' }).trim();
    const client = {
      client_id: CLIENT,
      client_secret: SECRET,
      redirect_uris: [`${this.url}/login/callback`],
      post_logout_redirect_uris: [`${this.url}/sign-in`],
      backchannel_logout_uri: `${this.url}/logout/backchannel`,
      backchannel_logout_session_required: true,
    };
    const script = join(ROOT, 'tests/oidc/provider.mjs');
    const child = spawn(
      process.execPath,
      [script, package_, String(this.port), JSON.stringify(client)],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    child.stderr.on('data', (data) => {
      said += String(data);
    });
    this.child = child;
    await new Promise<void>((done, fail) => {
      const late = setTimeout(() => fail(new Error(`the provider says nothing: ${said}`)), 30_000);
      createInterface(child.stdout).once('line', () => {
        clearTimeout(late);
        done();
      });
      child.once('exit', () => fail(new Error(`the provider does not start: ${said}`)));
    });
  }

  async end(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await ended;
  }

  /** The server's settings with which people sign in here. */
  get settings(): string {
    return [
      `oidc_issuer = 'http://127.0.0.1:${this.port}'`,
      `oidc_client_id = '${CLIENT}'`,
      `oidc_client_secret = '${SECRET}'`,
      "admins = 'group:dev'",
      '',
    ].join('\n');
  }
}
