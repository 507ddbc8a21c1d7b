import { DESKTOP } from './screen.mjs';

/** Levels out of 255 by which the two may differ: they round at different places, and one blends chroma between pixels. */
const TOLERANCE = 4;
const SPOTS = 12;

/** What is wrong with the preview: it must draw by either renderer, and in the same colours. */
export async function checkPreview(screen) {
  const faults = [];
  const drawn = {};
  for (const [kind, query] of [['webgl2', ''], ['canvas2d', '&renderer=canvas2d']]) {
    const page = await screen.show('ready', 'dark', DESKTOP, `&picture=still${query}`);
    const canvas = page.getByTestId('preview');
    const used = await canvas.getAttribute('data-renderer');
    if (used !== kind) faults.push(`preview: drawn by ${used} instead of ${kind}`);
    // Two figures apart, so that it goes on drawing and does not only begin.
    const before = Number(await canvas.getAttribute('data-drawn'));
    await page.waitForFunction((n) => Number(document.querySelector('[data-testid=preview]').dataset.drawn) > n, before);
    if (!(Number(await canvas.getAttribute('data-latency-p50-ms')) >= 0)) faults.push(`preview: ${kind} measures no delay`);
    const seen = (await canvas.screenshot()).toString('base64');
    drawn[kind] = await page.evaluate(averages, [`data:image/png;base64,${seen}`, SPOTS]);
    await page.close();
  }
  const difference = Math.max(...drawn.webgl2.map((level, index) => Math.abs(level - drawn.canvas2d[index])));
  if (!(difference <= TOLERANCE)) faults.push(`preview: the renderers’ colours differ by ${difference} of 255`);
  if (new Set(drawn.webgl2).size < SPOTS) faults.push('preview: the picture is of one colour');
  return faults;
}

/** The mean red, green and blue of a grid of spots of an image. */
async function averages([address, spots]) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const copy = new OffscreenCanvas(spots, spots);
  const context = copy.getContext('2d');
  context.drawImage(picture, 0, 0, spots, spots);
  return [...context.getImageData(0, 0, spots, spots).data].filter((_, index) => index % 4 !== 3);
}
