// Looks at every scene of the app in both themes and two sizes, and of the site in the dark on phones and in the light on a desktop: no violation that axe knows, nothing wider than the window, no complaint in
// the console; and that both renderers draw the same picture in time. `npm run a11y`.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { checkPreview } from './preview.mjs';
import { ACROSS, DESKTOP, openScreen, PHONE, SCENES, STEPS, THEMES } from './screen.mjs';
import { openSite } from './site.mjs';
import { SITE_SCENES } from './site_scenes.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const screen = await openScreen();
const site = await openSite();
const faults = [];
let looks = 0;

async function look(scene, theme, size) {
  const page = Object.hasOwn(SITE_SCENES, scene)
    ? await site.show(scene, theme, size)
    : await screen.show(scene, theme, size, '&renderer=canvas2d&picture=still');
  const place = `${scene}, ${theme}, ${size.name}`;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], preload: false }));
  for (const { id, help, nodes } of violations) {
    for (const node of nodes) faults.push(`${place}: ${id}: ${help}: ${node.target.join(' ')}: ${node.failureSummary}`);
  }
  for (const wide of await page.evaluate(tooWide)) faults.push(`${place}: wider than its place: ${wide}`);
  await page.close();
  looks += 1;
}

/** Nothing may be scrolled sideways, and nothing may stick out of the window. */
function tooWide() {
  const found = [];
  for (const element of document.querySelectorAll('body, body *')) {
    const { overflowX } = getComputedStyle(element);
    const scrolls = overflowX === 'auto' || overflowX === 'scroll';
    if ((scrolls || element === document.body) && element.scrollWidth > element.clientWidth) found.push(element);
    const box = element.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5) && !element.closest('.visually-hidden')) {
      found.push(element);
    }
  }
  return found.map((element) => `<${element.localName} class="${element.getAttribute('class') ?? ''}">`);
}

// Names of some scenes on the command line: only those.
const wanted = process.argv.slice(2);
const scenes = [...SCENES, ...Object.keys(STEPS), ...Object.keys(SITE_SCENES)];
const places = (wanted.length > 0 ? wanted : scenes).flatMap((scene) =>
  THEMES.flatMap((theme) => {
    return sizesFor(scene, theme).map((size) => [scene, theme, size]);
  }),
);

/** The site's pages are many and made of the same parts: each size once, and each theme. */
function sizesFor(scene, theme) {
  if (Object.hasOwn(SITE_SCENES, scene)) return theme === 'dark' ? [PHONE, ACROSS] : [DESKTOP];
  return theme === 'dark' ? [PHONE, DESKTOP, ACROSS] : [PHONE, DESKTOP];
}

async function lookAround() {
  for (let next = places.shift(); next; next = places.shift()) {
    const [scene, theme, size] = next;
    await look(scene, theme, size).catch((error) => faults.push(`${scene}, ${theme}, ${size.name}: ${error}`));
  }
}

// Two at once: while one waits for its page, the other computes.
await Promise.all([lookAround(), lookAround()]);
if (wanted.length === 0) faults.push(...(await checkPreview(screen)));
await screen.close();
await site.close();
faults.push(...screen.complaints, ...site.complaints);

for (const fault of faults) console.error(fault);
console.log(`${looks} looks, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
