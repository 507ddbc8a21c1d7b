// Writes pictures of the site: `npm run shots:site -- <folder> [scene…]`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { ACROSS, DESKTOP, PHONE, THEMES } from './screen.mjs';
import { openSite } from './site.mjs';
import { SITE_SCENES } from './site_scenes.mjs';

const [folder, ...wanted] = process.argv.slice(2);
if (!folder) {
  console.error('Say where to: npm run shots:site -- <folder> [scene…]');
  process.exit(2);
}
await mkdir(folder, { recursive: true });

const site = await openSite();
for (const scene of wanted.length > 0 ? wanted : Object.keys(SITE_SCENES)) {
  for (const theme of THEMES) {
    for (const size of [PHONE, DESKTOP, ACROSS]) {
      if (size === ACROSS && theme === 'light') continue;
      const page = await site.show(scene, theme, size);
      await page.screenshot({ path: join(folder, `${scene}-${size.name}-${theme}.png`) });
      await page.close();
    }
  }
}
await site.close();
for (const complaint of site.complaints) console.error(complaint);
