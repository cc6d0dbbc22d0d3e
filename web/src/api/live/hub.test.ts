import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Hub, type Port } from '@/api/live/hub';
import type { Status, ToPage } from '@/api/live/protocol';

/** A server that one can speak through, connection after connection. */
class Server {
  readonly asked: string[] = [];
  readonly #streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  status = 200;

  readonly fetch: typeof fetch = async (input, init) => {
    this.asked.push(decodeURIComponent(String(input)));
    if (this.status !== 200) return new Response(null, { status: this.status });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#streams.push(controller);
        init?.signal?.addEventListener('abort', () => {
          try {
            controller.error(new DOMException('aborted', 'AbortError'));
          } catch {
            // It was closed already.
          }
        });
      },
    });
    return new Response(body, { status: 200 });
  };

  async say(kind: string, data: unknown): Promise<void> {
    const text = `event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#streams.at(-1)?.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(1);
  }

  async hangUp(): Promise<void> {
    this.#streams.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(1);
  }
}

class Page implements Port {
  readonly got: [number, number | undefined][] = [];
  status: Status | undefined;

  send(message: ToPage): void {
    if (message.type === 'status') this.status = message.status;
    else this.got.push([message.id, message.message.at]);
  }
}

describe('the hub', () => {
  let server: Server;
  let hub: Hub;
  let page: Page;

  beforeEach(() => {
    vi.useFakeTimers();
    server = new Server();
    hub = new Hub({ fetch: server.fetch, now: () => Date.now(), random: () => 1 });
    page = new Page();
    hub.join(page);
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const settle = () => vi.advanceTimersByTimeAsync(20);

  it('asks once for the topics of several pages', async () => {
    const other = new Page();
    hub.join(other);
    hub.receive(page, { type: 'subscribe', id: 1, topic: 'sessions', at: 7 });
    hub.receive(other, { type: 'subscribe', id: 1, topic: 'sessions', at: 7 });
    hub.receive(other, { type: 'subscribe', id: 2, topic: 'run:a' });
    await settle();
    expect(server.asked).toEqual(['/api/v1/events?topics=sessions@7,run:a']);
    await server.say('hello', { server: '0.1.0' });
    await server.say('session', { topic: 'sessions', at: '8' });
    expect([page.got, other.got]).toEqual([[[1, 8]], [[1, 8]]]);
    // What an agent does moves no position of the log.
    await server.say('session', { topic: 'sessions', at: '8' });
    expect(page.got).toHaveLength(2);
    expect(page.status).toMatchObject({ state: 'open', version: '0.1.0' });
  });

  it('goes on after a break where each topic was', async () => {
    hub.receive(page, { type: 'subscribe', id: 1, topic: 'output:r', at: 0 });
    await settle();
    await server.say('hello', {});
    await server.say('output', { topic: 'output:r', at: 41 });
    await server.hangUp();
    expect(page.status).toMatchObject({ state: 'retrying', attempt: 1 });
    await vi.advanceTimersByTimeAsync(250);
    expect(server.asked.at(-1)).toBe('/api/v1/events?topics=output:r@41');
    await server.say('output', { topic: 'output:r', at: 41 });
    await server.say('output', { topic: 'output:r', at: 42 });
    expect(page.got).toEqual([
      [1, 41],
      [1, 42],
    ]);
  });

  it('repeats for a page that is behind, and for that page alone', async () => {
    hub.receive(page, { type: 'subscribe', id: 1, topic: 'output:r', at: 0 });
    await settle();
    await server.say('output', { topic: 'output:r', at: 90 });
    const late = new Page();
    hub.join(late);
    hub.receive(late, { type: 'subscribe', id: 5, topic: 'output:r', at: 80 });
    await settle();
    expect(server.asked.at(-1)).toBe('/api/v1/events?topics=output:r@80');
    await server.say('output', { topic: 'output:r', at: 85 });
    await server.say('output', { topic: 'output:r', at: 95 });
    expect(late.got).toEqual([
      [5, 85],
      [5, 95],
    ]);
    expect(page.got).toEqual([
      [1, 90],
      [1, 95],
    ]);
  });

  it('takes silence for a dead connection', async () => {
    hub.receive(page, { type: 'subscribe', id: 1, topic: 'system' });
    await settle();
    await server.say('hello', {});
    await vi.advanceTimersByTimeAsync(26_000);
    expect(page.status?.state).toBe('retrying');
    expect(server.asked.length).toBeGreaterThan(1);
  });

  it('says that somebody is signed out, and does not insist', async () => {
    server.status = 401;
    hub.receive(page, { type: 'subscribe', id: 1, topic: 'sessions' });
    await settle();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(page.status?.state).toBe('signed-out');
    expect(server.asked).toHaveLength(1);
  });

  it('drops topics that nobody follows any more', async () => {
    hub.receive(page, { type: 'subscribe', id: 1, topic: 'sessions' });
    hub.receive(page, { type: 'subscribe', id: 2, topic: 'run:a' });
    await settle();
    hub.receive(page, { type: 'unsubscribe', id: 2 });
    await settle();
    expect(server.asked.at(-1)).toBe('/api/v1/events?topics=sessions');
  });
});
