import { fileURLToPath } from 'node:url';
import tailwind from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// `make web`: hot reload before a running `paddock up`, which answers to its own name and its own page only.
const server = process.env['PADDOCK_URL'] ?? 'http://127.0.0.1:7080';
const proxied = { target: server, changeOrigin: true, headers: { Origin: server } };

export default defineConfig({
  plugins: [react(), tailwind()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: { host: '127.0.0.1', proxy: { '/api': proxied, '/login': proxied, '/schemas': proxied } },
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    // The page's policy allows no data: scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What every screen needs in one file, not in some thirty: fewer requests, and fewer that can fail.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'page', tags: ['$initial'] }] } },
    },
    chunkSizeWarningLimit: 800,
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'], restoreMocks: true },
});
