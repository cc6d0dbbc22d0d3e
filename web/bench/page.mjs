// What the page costs a browser: `scripts/web bench URL LINK RUN LAST HOSTILE` prints a JSON array of measurements, each
// with all its values. `make bench` fills an installation, starts this and makes rows of them.
//
// Times are the browser's own. A moment is when a thing is in the document and inside the window, looked for once a frame;
// costs are from Chrome's trace of the page's main thread: tasks by `RunTask`, a frame's script and layout by the union of
// the intervals of such events from one `BeginMainThreadFrame` to the next.

import { chromium } from '@playwright/test';

const [url, link, run, last, hostile] = process.argv.slice(2);
const ROUNDS = Number(process.env.ROUNDS ?? 8);
const SECONDS = Number(process.env.SECONDS ?? 10);
const CATEGORIES = [
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'disabled-by-default-devtools.timeline.frame',
  'devtools.timeline.frame',
  'blink.user_timing',
  '__metadata',
];
const WORK = new Set([
  'FunctionCall',
  'EvaluateScript',
  'FireAnimationFrame',
  'TimerFire',
  'EventDispatch',
  'RunMicrotasks',
  'Layout',
  'UpdateLayoutTree',
]);

const rows = [];
const row = (name, unit, values, most) => rows.push({ name, unit, values, most });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
const signedIn = await browser.newContext();
{
  const page = await signedIn.newPage();
  await page.goto(link);
  await page.close();
}
const storageState = await signedIn.storageState();
await signedIn.close();

/** A browser that has seen nothing yet, but is signed in. */
async function fresh(use) {
  const context = await browser.newContext({
    storageState,
    viewport: { width: 1280, height: 800 },
  });
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}

/** Milliseconds from the start of the navigation until something that matches is inside the window. */
async function seen(page, path, selector) {
  await page.addInitScript((wanted) => {
    const look = () => {
      const box = document.querySelector(wanted)?.getBoundingClientRect();
      if (box && box.height > 0 && box.bottom > 0 && box.top < innerHeight) {
        window.seenAt = performance.now();
      } else {
        requestAnimationFrame(look);
      }
    };
    look();
  }, selector);
  await page.goto(`${url}${path}`);
  const at = await page.waitForFunction(() => window.seenAt, undefined, { timeout: 60_000 });
  return at.jsonValue();
}

/** What the page's main thread did meanwhile. */
async function traced(page, act) {
  const client = await page.context().newCDPSession(page);
  const all = await browser.newBrowserCDPSession();
  const events = [];
  all.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await all.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { recordMode: 'recordAsMuchAsPossible', includedCategories: CATEGORIES },
  });
  await page.evaluate(() => performance.mark('begin'));
  await act();
  await page.evaluate(() => performance.mark('end'));
  const complete = new Promise((done) => all.once('Tracing.tracingComplete', done));
  await all.send('Tracing.end');
  await complete;
  await client.detach();
  const mark = (name) => events.findLast((e) => e.name === name && e.cat === 'blink.user_timing');
  const [begin, end] = [mark('begin'), mark('end')];
  if (!begin || !end) throw new Error('the trace holds no marks');
  const own = events.filter(
    (e) => e.pid === begin.pid && e.tid === begin.tid && e.ts >= begin.ts && e.ts <= end.ts,
  );
  const tasks = own.filter((e) => e.name === 'RunTask' && e.dur).map((e) => e.dur / 1000);
  if (tasks.length === 0) throw new Error('the trace holds no tasks');
  const starts = own.filter((e) => e.name === 'BeginMainThreadFrame').map((e) => e.ts);
  const work = own.filter((e) => e.ph === 'X' && WORK.has(e.name));
  return {
    longest: Math.max(...tasks),
    busy: tasks.reduce((sum, one) => sum + one, 0) / ((end.ts - begin.ts) / 1000),
    frames: frames(starts, work),
  };
}

/** Milliseconds of work from each frame's begin to the next one's. */
function frames(starts, work) {
  const sums = new Array(starts.length).fill(0);
  let covered = 0;
  let frame = -1;
  for (const { ts, dur = 0 } of work.toSorted((a, b) => a.ts - b.ts)) {
    const from = Math.max(ts, covered);
    covered = Math.max(covered, ts + dur);
    while (frame + 1 < starts.length && starts[frame + 1] <= ts) frame += 1;
    if (frame >= 0) sums[frame] += Math.max(0, ts + dur - from) / 1000;
  }
  return sums;
}

function p95(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
}

const loads = [];
const weights = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  await fresh(async (page) => {
    const client = await page.context().newCDPSession(page);
    await client.send('Network.enable');
    const paths = new Map();
    let bytes = 0;
    client.on('Network.responseReceived', ({ requestId, response }) =>
      paths.set(requestId, new URL(response.url).pathname),
    );
    client.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (!(paths.get(requestId) ?? '/api/').startsWith('/api/')) bytes += encodedDataLength;
    });
    const load = await seen(page, '/', 'main a[href^="/runs/"], main a[href^="/sessions/"]');
    await page.waitForLoadState('load');
    // The first round warms the server, and the disk's cache for the browser's own files.
    if (round > 0) {
      loads.push(load);
      weights.push(bytes / 1000);
    }
  });
}
row('first load: bytes of the page itself, as transferred', 'kB', weights, 250);
row('first load: until the sessions stand there', 'ms', loads, 1000);

const busy = [];
const jumps = [];
for (let round = 0; round < Math.ceil(ROUNDS / 4); round += 1) {
  await fresh(async (page) => {
    await seen(page, '/', 'main a[href^="/runs/"], main a[href^="/sessions/"]');
    await page.waitForTimeout(2000);
    const { busy: share, longest } = await traced(page, () => page.waitForTimeout(SECONDS * 1000));
    busy.push(share * 100);
    jumps.push(longest);
  });
}
row('500 sessions, 20 of them changing each second: main thread busy', '%', busy, 30);
row('500 sessions, 20 of them changing each second: longest task', 'ms', jumps);

const opened = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const took = await fresh((page) => seen(page, `/runs/${run}`, `[id="part-${last}"]`));
  if (round > 0) opened.push(took);
}
row('a transcript of 50,000 parts: until its end is seen', 'ms', opened, 1000);

const longest = [];
const costs = [];
const nodes = [];
for (let round = 0; round < Math.ceil(ROUNDS / 2); round += 1) {
  await fresh(async (page) => {
    await seen(page, `/runs/${run}`, `[id="part-${last}"]`);
    await page.waitForTimeout(1000);
    await page.mouse.move(640, 500);
    let most = 0;
    const trace = await traced(page, async () => {
      const until = Date.now() + SECONDS * 1000;
      // A hand that is in a hurry: some four screens a second.
      for (let step = 0; Date.now() < until; step += 1) {
        await page.mouse.wheel(0, -100);
        await page.waitForTimeout(32);
        if (step % 16 > 0) continue;
        const now = await page.evaluate(() => document.querySelectorAll('[data-part]').length);
        most = Math.max(most, now);
      }
    });
    const left = await page.evaluate((id) => document.getElementById(`part-${id}`) !== null, last);
    if (left) throw new Error('the transcript did not scroll');
    longest.push(trace.longest);
    costs.push(p95(trace.frames));
    nodes.push(most);
  });
}
row('scrolling up through it: longest task', 'ms', longest, 50);
row('scrolling up through it: script and layout a frame, p95', 'ms', costs, 8);
row('scrolling up through it: part nodes in the document, at most', 'nodes', nodes, 300);

const frozen = [];
for (let round = 0; round < Math.ceil(ROUNDS / 2); round += 1) {
  await fresh(async (page) => {
    await page.goto(`${url}/system`);
    await page.waitForTimeout(500);
    const { longest: most } = await traced(page, async () => {
      await page.evaluate((path) => {
        history.pushState({}, '', path);
        dispatchEvent(new PopStateEvent('popstate'));
      }, `/runs/${hostile}`);
      await page.waitForSelector('[data-part]');
      await page.waitForTimeout(1500);
      await page.mouse.move(640, 500);
      for (let step = 0; step < 20; step += 1) {
        await page.mouse.wheel(0, -300);
        await page.waitForTimeout(30);
      }
    });
    frozen.push(most);
  });
}
row('a line of 5 MB and 10,000 lines: longest task while they are shown', 'ms', frozen);

await browser.close();
process.stdout.write(`${JSON.stringify(rows)}\n`);
