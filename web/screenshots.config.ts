import { defineConfig } from '@playwright/test';
import journeys from './playwright.config';

// `scripts/screenshots`: pictures for the documents, made of a real installation as the journeys are.
export default defineConfig(journeys, {
  testMatch: 'screenshots.ts',
  use: { viewport: { width: 1280, height: 800 } },
});
