/// <reference lib="webworker" />
import { Hub, type Port } from '@/api/live/hub';
import type { FromPage } from '@/api/live/protocol';

// One for all pages of a browser: ten pages hold one of the six connections that HTTP/1.1 allows.
const hub = new Hub({
  fetch: (...args) => fetch(...args),
  now: () => Date.now(),
  random: () => Math.random(),
});
const scope = self as unknown as SharedWorkerGlobalScope;
scope.addEventListener('online', () => hub.online(true));
scope.addEventListener('offline', () => hub.online(false));
scope.onconnect = (event) => {
  const channel = event.ports[0];
  if (!channel) return;
  const port: Port = { send: (message) => channel.postMessage(message) };
  hub.join(port);
  channel.onmessage = ({ data }: MessageEvent<FromPage>) => hub.receive(port, data);
};
