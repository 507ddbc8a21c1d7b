import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Fails the build when a bundle holds a platform that it must not ship. */
function shipsNo(folder: string): Plugin {
  return {
    name: `ships-no-${folder}`,
    generateBundle(_options, bundle) {
      for (const part of Object.values(bundle)) {
        const stray = part.type === 'chunk' && part.moduleIds.find((id) => id.includes(`/platform/${folder}/`));
        if (stray) this.error(`${stray} must not be in this bundle`);
      }
    },
  };
}

export default defineConfig(({ mode }) => {
  const simulated = mode === 'simulated';
  return {
    plugins: [svelte(), svelteTesting(), shipsNo(simulated ? 'tauri' : 'simulated')],
    // Paths relative to the page: a page is served from a different root in the app than on the web.
    base: './',
    clearScreen: false,
    server: { port: 5173, strictPort: true },
    build: {
      outDir: simulated ? 'dist-simulated' : 'dist',
      // The oldest webviews that the app runs in.
      target: ['safari16', 'chrome107'],
      // The content security policy allows no inline resources.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
    test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
  };
});
