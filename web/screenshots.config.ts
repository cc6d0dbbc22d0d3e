import { defineConfig } from '@playwright/test';
import journeys from './playwright.config';

const { projects: _, ...same } = journeys;

// `scripts/screenshots`: pictures for the documents, made of a real installation as the journeys are.
export default defineConfig({ ...same, testMatch: 'screenshots.ts' });
