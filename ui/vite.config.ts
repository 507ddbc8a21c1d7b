import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Fails the build when a bundle holds what it must not ship: modules whose path has one of these in it. */
function shipsNo(...strays: string[]): Plugin {
  return {
    name: 'ships-no',
    generateBundle(_options, bundle) {
      for (const part of Object.values(bundle)) {
        const stray = part.type === 'chunk' && part.moduleIds.find((id) => strays.some((stray) => id.includes(stray)));
        if (stray) this.error(`${stray} must not be in this bundle`);
      }
    },
  };
}

const TAURI = ['/platform/tauri/', '/@tauri-apps/'];
const SIMULATION = ['/platform/simulated/'];

/** What each build is made of: the app's screen, the same without anything behind it, and the site. */
const BUILDS = {
  app: { page: 'index.html', folder: 'dist', without: SIMULATION },
  simulated: { page: 'index.html', folder: 'dist-simulated', without: TAURI },
  site: { page: 'site.html', folder: 'dist-site', without: [...TAURI, ...SIMULATION] },
};

export default defineConfig(({ mode }) => {
  const { page, folder, without } = BUILDS[mode === 'simulated' || mode === 'site' ? mode : 'app'];
  return {
    plugins: [svelte(), svelteTesting(), shipsNo(...without)],
    // The app's page is served from a root of the shell's choice; the site's one page stands at several addresses.
    base: mode === 'site' ? '/' : './',
    clearScreen: false,
    server: { port: 5173, strictPort: true },
    build: {
      outDir: folder,
      rolldownOptions: { input: page },
      // hls.js stands in a file of its own, fetched by those who play HLS.
      chunkSizeWarningLimit: 700,
      // The oldest webviews that the app runs in, and the oldest browsers that the site is for.
      target: ['safari16', 'chrome107'],
      // The content security policy allows no inline resources.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
    test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
  };
});
