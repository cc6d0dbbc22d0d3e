import { defineConfig, devices } from '@playwright/test';

// Real Chromium against a real `paddock up --demo`, which the tests start (`e2e/world.ts`). Nothing is tried
// a second time: what passes only then is broken.
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'e2e/results',
  workers: 1,
  retries: 0,
  timeout: 180_000,
  globalTimeout: 25 * 60_000,
  forbidOnly: true,
  // A project has an installation of its own: the first run is that of an empty one.
  projects: [
    { name: 'first run', testMatch: 'first-run.spec.ts' },
    { name: 'page', testIgnore: 'first-run.spec.ts' },
  ],
  reporter: [['list']],
  expect: { timeout: 30_000 },
  use: {
    ...devices['Desktop Chrome'],
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      // Chromium's own sandbox does not work for root; what it shows here comes from this machine alone.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    },
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
});
