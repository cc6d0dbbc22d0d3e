import type { FromPage, Message, Status, ToPage } from '@/api/live/protocol';
import { SseParser } from '@/api/live/sse';

/** A page that is connected to the hub. */
export interface Port {
  send(message: ToPage): void;
}

interface Subscription {
  id: number;
  topic: string;
  /** Up to where this page has it: older events are not for it. */
  at: number | undefined;
}

interface Page {
  subscriptions: Map<number, Subscription>;
  seen: number;
}

/** What the hub needs of its surroundings; a test gives its own. */
export interface Surroundings {
  fetch: typeof fetch;
  now(): number;
  random(): number;
}

const FIRST_WAIT = 250;
const LONGEST_WAIT = 10_000;
/** The server sends a comment every ten seconds: silence for longer is a dead connection. */
const SILENCE = 25_000;
/** New topics come in groups: a page that is opened asks for several. */
const GATHER = 15;
/** Hidden pages are let run once a minute. */
const FORGOTTEN = 180_000;

/**
 * One connection to the server for every page of a browser. Each topic has its own position, so that after
 * a break, and whatever else comes and goes, each page gets each event once and in order.
 */
export class Hub {
  readonly #pages = new Map<Port, Page>();
  /** Where the connection is in each topic. */
  readonly #at = new Map<string, number | undefined>();
  readonly #around: Surroundings;
  #status: Status;
  #abort: AbortController | undefined;
  #gather: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#status = { state: 'connecting', since: around.now() };
  }

  get status(): Status {
    return this.#status;
  }

  join(port: Port): void {
    this.#pages.set(port, { subscriptions: new Map(), seen: this.#around.now() });
    port.send({ type: 'status', status: this.#status });
  }

  receive(port: Port, message: FromPage): void {
    const page = this.#pages.get(port);
    if (!page) return;
    page.seen = this.#around.now();
    switch (message.type) {
      case 'subscribe':
        this.#subscribe(page, message.id, message.topic, message.at);
        break;
      case 'unsubscribe': {
        const gone = page.subscriptions.get(message.id);
        page.subscriptions.delete(message.id);
        if (gone && !this.#wanted(gone.topic)) {
          this.#at.delete(gone.topic);
          this.#connectSoon();
        }
        break;
      }
      case 'poke':
        if (this.#status.state !== 'open' && this.#at.size > 0) {
          this.#attempt = 0;
          this.#connect();
        }
        break;
      case 'bye':
        this.#leave(port);
        break;
      case 'alive':
        this.#forget();
        break;
    }
  }

  /** The machine has, or has no, network. */
  online(online: boolean): void {
    if (online) {
      this.#attempt = 0;
      if (this.#at.size > 0) this.#connect();
    } else {
      this.#stop();
      this.#tell({ state: 'offline', since: this.#around.now() });
    }
  }

  #subscribe(page: Page, id: number, topic: string, at: number | undefined): void {
    page.subscriptions.set(id, { id, topic, at });
    const known = this.#at.get(topic);
    if (this.#at.has(topic) && (at === undefined || (known !== undefined && known <= at))) return;
    // Behind what the connection has delivered: it is asked for again from there, for this page alone.
    this.#at.set(topic, known === undefined || at === undefined ? at : Math.min(known, at));
    this.#connectSoon();
  }

  #wanted(topic: string): boolean {
    for (const page of this.#pages.values()) {
      for (const one of page.subscriptions.values()) if (one.topic === topic) return true;
    }
    return false;
  }

  #leave(port: Port): void {
    const page = this.#pages.get(port);
    this.#pages.delete(port);
    if (!page) return;
    let changed = false;
    for (const { topic } of page.subscriptions.values()) {
      if (!this.#wanted(topic)) changed = this.#at.delete(topic) || changed;
    }
    if (changed) this.#connectSoon();
  }

  #forget(): void {
    const oldest = this.#around.now() - FORGOTTEN;
    for (const [port, page] of this.#pages) if (page.seen < oldest) this.#leave(port);
  }

  #connectSoon(): void {
    if (this.#status.state === 'offline' || this.#gather !== undefined) return;
    this.#gather = setTimeout(() => {
      this.#gather = undefined;
      this.#connect();
    }, GATHER);
  }

  #stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #connect(): void {
    this.#stop();
    if (this.#at.size === 0) return;
    const abort = new AbortController();
    this.#abort = abort;
    // A lost connection stays lost until the server has said hello.
    if (this.#status.state !== 'open' && this.#status.state !== 'retrying') {
      this.#tell({ state: 'connecting', since: this.#around.now() });
    }
    void this.#read(abort);
  }

  async #read(abort: AbortController): Promise<void> {
    const topics = [...this.#at].map(([topic, at]) =>
      at === undefined ? topic : `${topic}@${at}`,
    );
    let silence: ReturnType<typeof setTimeout> | undefined;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE);
    };
    let replaced = false;
    try {
      alive();
      const url = `/api/v1/events?topics=${topics.map(encodeURIComponent).join(',')}`;
      const answer = await this.#around.fetch(url, {
        signal: abort.signal,
        headers: { Accept: 'text/event-stream' },
        cache: 'no-store',
        credentials: 'same-origin',
      });
      if (answer.status === 401 || answer.status === 403) {
        if (this.#abort === abort) this.#tell({ state: 'signed-out', since: this.#around.now() });
        return;
      }
      if (!answer.ok || !answer.body) throw new Error(`the server answered ${answer.status}`);
      const parser = new SseParser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        alive();
        for (const event of parser.push(value)) this.#dispatch(event.event, event.data);
      }
    } catch {
      // Whatever it was: below it is tried again, and the status says so.
    } finally {
      clearTimeout(silence);
      replaced = this.#abort !== abort;
    }
    if (!replaced) this.#tryAgain();
  }

  #tryAgain(): void {
    this.#abort = undefined;
    this.#attempt += 1;
    const most = Math.min(FIRST_WAIT * 2 ** (this.#attempt - 1), LONGEST_WAIT);
    // Not all browsers at once after a restart of the server.
    const wait = most * (0.5 + this.#around.random() / 2);
    const now = this.#around.now();
    const since = this.#status.state === 'retrying' ? this.#status.since : now;
    this.#tell({ state: 'retrying', since, attempt: this.#attempt, next: now + wait });
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #dispatch(kind: string, text: string): void {
    const data = parsed(text);
    if (data === undefined) return;
    if (kind === 'hello') {
      this.#attempt = 0;
      const version = typeof data['server'] === 'string' ? data['server'] : null;
      this.#tell({ state: 'open', since: this.#around.now(), version });
      return;
    }
    const topic = data['topic'];
    if (typeof topic !== 'string' || !this.#at.has(topic)) return;
    const at = position(data['at']);
    if (at !== undefined) this.#at.set(topic, at);
    const message: Message = { kind, topic, data, ...(at === undefined ? {} : { at }) };
    for (const [port, page] of this.#pages) {
      for (const one of page.subscriptions.values()) {
        if (one.topic !== topic) continue;
        if (at !== undefined) {
          if (one.at !== undefined && isKnown(topic, at, one.at)) continue;
          one.at = at;
        }
        port.send({ type: 'message', id: one.id, message });
      }
    }
  }

  #tell(status: Status): void {
    this.#status = status;
    for (const port of this.#pages.keys()) port.send({ type: 'status', status });
  }
}

/** A session is told as it is now, also when what its agent does moved no position. */
function isKnown(topic: string, at: number, known: number): boolean {
  return topic === 'sessions' ? at < known : at <= known;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function position(at: unknown): number | undefined {
  const number = typeof at === 'string' && at !== '' ? Number(at) : at;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
