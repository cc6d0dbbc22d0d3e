import { Hub, type Port } from '@/api/live/hub';
import type { FromPage, Message, Status, ToPage } from '@/api/live/protocol';

/** This page's end of the live connection. */
class Connection {
  #send: (message: FromPage) => void = () => undefined;
  #status: Status = { state: 'connecting', since: Date.now() };
  #next = 1;
  readonly #handlers = new Map<number, (message: Message) => void>();
  readonly #watchers = new Set<() => void>();
  #started = false;

  readonly status = (): Status => this.#status;

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  /** Follows a topic, from after `at` or from now. Gives back how to stop. */
  subscribe(
    topic: string,
    at: number | undefined,
    handler: (message: Message) => void,
  ): () => void {
    this.#start();
    const id = this.#next++;
    this.#handlers.set(id, handler);
    this.#send({ type: 'subscribe', id, topic, ...(at === undefined ? {} : { at }) });
    return () => {
      this.#handlers.delete(id);
      this.#send({ type: 'unsubscribe', id });
    };
  }

  retry(): void {
    this.#start();
    this.#send({ type: 'poke' });
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#send = this.#shared() ?? this.#own();
    setInterval(() => this.#send({ type: 'alive' }), 20_000);
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#send({ type: 'poke' });
    });
    window.addEventListener('pagehide', (event) => {
      if (!event.persisted) this.#send({ type: 'bye' });
    });
  }

  #shared(): ((message: FromPage) => void) | undefined {
    if (typeof SharedWorker === 'undefined') return undefined;
    try {
      const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), {
        type: 'module',
        name: 'paddock-live',
      });
      worker.port.onmessage = ({ data }: MessageEvent<ToPage>) => this.#receive(data);
      return (message) => worker.port.postMessage(message);
    } catch {
      return undefined;
    }
  }

  /** Where there is no shared worker: a connection for this page alone. */
  #own(): (message: FromPage) => void {
    const hub = new Hub({
      fetch: (...args) => fetch(...args),
      now: () => Date.now(),
      random: () => Math.random(),
    });
    const port: Port = { send: (message) => this.#receive(message) };
    addEventListener('online', () => hub.online(true));
    addEventListener('offline', () => hub.online(false));
    hub.join(port);
    return (message) => hub.receive(port, message);
  }

  #receive(message: ToPage): void {
    if (message.type === 'status') {
      this.#status = message.status;
      for (const watcher of this.#watchers) watcher();
    } else {
      this.#handlers.get(message.id)?.(message.message);
    }
  }
}

export const connection = new Connection();
