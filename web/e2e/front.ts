import { createReadStream, existsSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
  "frame-ancestors 'none'";

/** For a server that was built without the page: shows `web/dist` before it, under the server's own policy. */
export async function front(target: string): Promise<{ url: string; server: Server }> {
  const server = createServer((from, to) => {
    const path = new URL(from.url ?? '/', target).pathname;
    if (/^\/(api|login|schemas)\b/.test(path)) {
      const passed = request(target + from.url, { method: from.method, headers: from.headers });
      passed.on('response', (answer) => {
        to.writeHead(answer.statusCode ?? 502, answer.headers);
        to.flushHeaders();
        answer.pipe(to);
      });
      passed.on('error', () => to.destroy());
      to.on('close', () => passed.destroy());
      from.pipe(passed);
      return;
    }
    const file = join(DIST, extname(path) ? path : 'index.html');
    if (!existsSync(file)) {
      to.writeHead(404).end();
      return;
    }
    to.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
    });
    createReadStream(file).pipe(to);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
