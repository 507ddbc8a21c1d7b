import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { serve } from './serve.mjs';

/** Where Debian, Ubuntu and Google put it. */
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const THEMES = ['dark', 'light'];
export const PHONE = { name: 'phone', width: 360, height: 740 };
export const ACROSS = { name: 'phone-across', width: 740, height: 360 };
export const DESKTOP = { name: 'desktop', width: 1280, height: 800 };

/** The scenes of the simulation. */
export const SCENES = [
  'ready',
  'first-start',
  'local-server',
  'connecting',
  'live',
  'muted',
  'offline',
  'storage-low',
  'catching-up',
  'finishing',
  'complete',
  'incomplete',
  'refused-token',
  'disk-full',
  'no-camera',
  'no-microphone',
  'permission-denied',
  'camera-busy',
  'unplugged',
  'notices',
  'chat-unread',
  'closing',
];

async function openRoom(page) {
  await page.getByTestId('room').click();
  await page.getByTestId('room-panel').waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll('[data-testid=tile]')].every(({ dataset }) => dataset.phase === 'playing'));
}

/** Scenes that a person gets to by tapping: from which, and how. */
export const STEPS = {
  'live-video-details': ['live', (page) => page.getByTestId('video-track').click()],
  'catching-up-details': ['catching-up', (page) => page.getByTestId('audio-track').click()],
  'stop-asked': ['live', (page) => page.getByTestId('start-stop').click()],
  'room-live': ['live', openRoom],
  'room-empty': ['room-empty', openRoom],
  'room-away': ['room-away', openRoom],
  'room-refused': ['room-refused', openRoom],
  'room-shared': [
    'ready',
    async (page) => {
      await openRoom(page);
      await page.getByTestId('share').click();
      await page.getByTestId('invitation').waitFor();
    },
  ],
  settings: ['live', (page) => page.getByTestId('settings-open').click()],
  'settings-first': ['first-start', (page) => page.getByTestId('start-stop').click()],
  'settings-tested': [
    'refused-token',
    async (page) => {
      await page.getByTestId('settings-open').click();
      await page.getByTestId('test-connection').click();
      await page.getByTestId('connection-report').waitFor();
      await page.getByTestId('connection-report').scrollIntoViewIfNeeded();
    },
  ],
  'settings-quality': [
    'ready',
    async (page) => {
      await page.getByTestId('settings-open').click();
      await page.getByRole('radio', { name: 'Custom' }).click();
      await page.getByText('Audio channels').scrollIntoViewIfNeeded();
    },
  ],
  'settings-storage': [
    'live',
    async (page) => {
      await page.getByTestId('settings-open').click();
      await page.getByText('When as much waits').scrollIntoViewIfNeeded();
    },
  ],
  'settings-devices': [
    'live',
    async (page) => {
      await page.getByTestId('settings-open').click();
      await page.getByText('Microphone', { exact: true }).first().scrollIntoViewIfNeeded();
    },
  ],
};

/** A browser whose camera and microphone are made up. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path)) ?? BROWSERS[0],
    args: [
      // The sandbox does not start as root. Without a graphics processor, WebGL is drawn by the processor.
      ...['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
      ...['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    ],
  });
}

/** One context for each theme and size. */
export function contexts(browser) {
  const made = new Map();
  return (theme, size) => {
    const key = `${theme} ${size.name}`;
    if (!made.has(key)) {
      const settings = { viewport: size, colorScheme: theme, reducedMotion: 'reduce', hasTouch: size !== DESKTOP };
      made.set(key, browser.newContext(settings));
    }
    return made.get(key);
  };
}

/**
 * A browser on the simulated build. `show` opens a scene (or one of the steps) once its first picture is drawn or is not going to be; what
 * the page complains about is collected in `complaints`.
 */
export async function openScreen() {
  const site = await serve(fileURLToPath(new URL('../dist-simulated', import.meta.url)));
  const browser = await launch();
  const complaints = [];
  const contextFor = contexts(browser);

  async function show(name, theme, size, query = '') {
    const [scene, step] = STEPS[name] ?? [name, null];
    const page = await (await contextFor(theme, size)).newPage();
    page.setDefaultTimeout(60_000);
    const complain = (text) => complaints.push(`${name}, ${theme}, ${size.name}: ${text}`);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !isAboutSoftwareWebgl(message.text())) complain(message.text());
    });
    page.on('pageerror', (error) => complain(String(error)));
    await page.goto(`${site.address}/?scene=${scene}&theme=${theme}${query}`);
    await page.waitForSelector('[data-testid=start-stop]', { state: 'attached' });
    await page.waitForFunction(() => document.querySelector('.instead')?.textContent?.trim() !== 'Opening the camera');
    if (step) await step(page);
    return page;
  }

  async function close() {
    await browser.close();
    await site.close();
  }

  return { show, close, complaints };
}

/** Chromium remarks on reading pixels back when there is no graphics processor. */
function isAboutSoftwareWebgl(text) {
  return text.includes('GL Driver Message') || text.includes('GPU stall due to ReadPixels');
}
