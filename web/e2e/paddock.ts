import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The repository that the demo's forge is seeded with, and its issue. */
export const REPO = 'octo-demo/greeter';
export const ISSUE = 1;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PATIENCE = 120_000;
const PROFILES = `
[profiles.careful]
permission = { '*' = 'allow', external_directory = 'ask' }
`;

export type Part = 'database' | 'relay' | 'forge' | 'model' | 'egress';
const PROCESS: Record<Part, string> = {
  database: 'postgres',
  relay: 'nats',
  forge: 'forge',
  model: 'model',
  egress: 'egress',
};

interface Announced {
  url: string;
}

type Json = Record<string, unknown>;

/** A `paddock up --demo --idle` of the tests' own, in a data directory that goes with it. */
export class Paddock {
  private up: ChildProcess | undefined;
  private readonly stopped = new Set<number>();
  url = '';

  private constructor(
    private readonly dir: string,
    private readonly listen: string,
  ) {}

  /** Starts one; with more settings, and at an address, where a test needs them. */
  static async start(settings = '', listen = '127.0.0.1:0'): Promise<Paddock> {
    const dir = await mkdtemp(join(tmpdir(), 'paddock-page-'));
    // Other uids pass through: PostgreSQL's and the sandboxes'.
    await chmod(dir, 0o711);
    writeFileSync(join(dir, 'paddock.toml'), `${settings}${PROFILES}`);
    const paddock = new Paddock(dir, listen);
    try {
      await paddock.begin();
    } catch (error) {
      await paddock.end();
      throw error;
    }
    return paddock;
  }

  get data(): string {
    return join(this.dir, 'data');
  }

  /** Starts `paddock up`, the first time or again at the same address. */
  async begin(): Promise<void> {
    if (!process.env['PADDOCK_OPENCODE']) throw new Error('PADDOCK_OPENCODE is not set: make test');
    const listen = this.url ? new URL(this.url).host : this.listen;
    const args = ['up', '--demo', '--idle', '--json', '--listen', listen, '--data-dir', this.data];
    const up = spawn(program(), args, {
      env: { ...process.env, PADDOCK_CONFIG: join(this.dir, 'paddock.toml') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.up = up;
    up.stderr.pipe(createWriteStream(join(this.dir, 'up.log'), { flags: 'a' }));
    const announced = await new Promise<Announced>((done, fail) => {
      const late = setTimeout(() => fail(new Error(`it never started\n${this.log()}`)), PATIENCE);
      createInterface(up.stdout).once('line', (line) => {
        clearTimeout(late);
        const said = JSON.parse(line) as Partial<Announced>;
        if (said.url) done({ url: said.url });
        else fail(new Error(`it does not start: ${line}\n${this.log()}`));
      });
      up.once('exit', () => fail(new Error(`it ended\n${this.log()}`)));
    });
    this.url = announced.url;
  }

  /** Ends the server and all that it started; its data stays. */
  async halt(): Promise<void> {
    const { up } = this;
    for (const pid of [...this.stopped]) resume(pid, this.stopped);
    if (!up || up.exitCode !== null || up.signalCode !== null) return;
    const ended = new Promise((done) => up.once('exit', done));
    up.kill('SIGTERM');
    await ended;
    this.up = undefined;
  }

  async end(): Promise<void> {
    await this.halt();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Stops a part as if it hung: its process and that one's children. */
  stop(part: Part): void {
    const pid = this.pid(PROCESS[part]);
    for (const each of [pid, ...childrenOf(pid)]) {
      process.kill(each, 'SIGSTOP');
      this.stopped.add(each);
    }
  }

  /** Lets go on what was stopped. */
  resume(): void {
    for (const pid of [...this.stopped]) resume(pid, this.stopped);
  }

  private pid(name: string): number {
    const records = JSON.parse(readFileSync(join(this.data, 'up.json'), 'utf8')) as Record<
      string,
      { pid: number }
    >;
    const pid = records[name]?.pid;
    if (!pid) throw new Error(`no ${name} runs`);
    return pid;
  }

  private secret(name: string): string {
    return readFileSync(join(this.data, 'secrets', name), 'utf8').trim();
  }

  /** One request to the API as a script makes it; what is refused is thrown. */
  async call<T = Json>(method: string, path: string, body?: Json): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.secret('cli-token')}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...(method === 'GET' ? {} : { 'idempotency-key': crypto.randomUUID() }),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text ? JSON.parse(text) : {}) as T;
  }

  /** A new link that signs a browser in. */
  async link(): Promise<string> {
    const { stdout } = await promisify(execFile)(program(), [
      'login',
      '--json',
      '--data-dir',
      this.data,
    ]);
    const { url } = JSON.parse(stdout) as { url: string };
    return url;
  }

  /** A new session with a run that plays a scenario; answers the ids of both. */
  async run(
    title: string,
    scenario: string,
    more: Json = {},
  ): Promise<{ session: string; run: string }> {
    const made = await this.call<{ id: string }>('POST', 'sessions', { repo: REPO, title });
    const run = await this.call<{ id: string }>('POST', `sessions/${made.id}/runs`, {
      prompt: `[scenario: ${scenario}] ${title}`,
      ...more,
    });
    return { session: made.id, run: run.id };
  }

  /** Waits until a run is in one of these states, and answers it. */
  async reached(run: string, ...states: string[]): Promise<Json> {
    const until = Date.now() + PATIENCE;
    for (;;) {
      const now = await this.call('GET', `runs/${run}`).catch((error: unknown) => {
        // It is read from a model that may be a moment behind.
        if (Date.now() < until) return undefined;
        throw error;
      });
      if (now && states.includes(String(now['state']))) return now;
      if (Date.now() > until || now?.['finished_at']) {
        throw new Error(`never ${states}: ${JSON.stringify(now, null, 1)}\n${this.log()}`);
      }
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  /** Cancels what still runs: the next test finds a quiet machine. */
  async quiet(): Promise<void> {
    const { items } = await this.call<{ items: Json[] }>('GET', 'runs?limit=100');
    for (const run of items.filter((each) => !each['finished_at'])) {
      await this.call('POST', `runs/${String(run['id'])}/cancel`).catch(() => undefined);
      await this.reached(String(run['id']), 'cancelled', 'succeeded', 'failed');
    }
  }

  /** Lets the forge answer the next `count` requests of that kind with an error. */
  async forgeFault(method: string, prefix: string, count: number): Promise<void> {
    const { url } = JSON.parse(readFileSync(join(this.data, 'demo/forge.json'), 'utf8')) as {
      url: string;
    };
    const answer = await fetch(`${url}/_test/faults`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.secret('forge')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        method,
        path_prefix: prefix,
        count,
        status: 502,
        body: { message: 'the forge is down for maintenance' },
      }),
    });
    if (!answer.ok) throw new Error(`the forge takes no fault: ${answer.status}`);
  }

  /** The last lines of what it logged. */
  log(): string {
    const path = join(this.dir, 'up.log');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(-30).join('\n') : '';
  }
}

/** The command line. */
export function program(): string {
  const target = resolve(ROOT, process.env['CARGO_TARGET_DIR'] ?? 'target');
  const path = join(target, 'debug/paddock');
  if (!existsSync(path)) throw new Error(`${path} is not built: make build`);
  return path;
}

function resume(pid: number, stopped: Set<number>): void {
  stopped.delete(pid);
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // It has ended meanwhile.
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const after = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] ?? '';
        return Number(after.split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
}
