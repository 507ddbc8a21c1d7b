// Writes pictures of the screen: `npm run shots -- <folder> [scene…]`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { ACROSS, DESKTOP, openScreen, PHONE, SCENES, STEPS, THEMES } from './screen.mjs';

const [folder, ...wanted] = process.argv.slice(2);
if (!folder) {
  console.error('Say where to: npm run shots -- <folder> [scene…]');
  process.exit(2);
}
await mkdir(folder, { recursive: true });

const screen = await openScreen();
for (const scene of wanted.length > 0 ? wanted : [...SCENES, ...Object.keys(STEPS)]) {
  for (const theme of THEMES) {
    for (const size of [PHONE, DESKTOP, ACROSS]) {
      if (size === ACROSS && theme === 'light') continue;
      const page = await screen.show(scene, theme, size, '&renderer=canvas2d&picture=still');
      await page.screenshot({ path: join(folder, `${scene}-${size.name}-${theme}.png`) });
      await page.close();
    }
  }
}
await screen.close();
for (const complaint of screen.complaints) console.error(complaint);
