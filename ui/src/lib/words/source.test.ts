import { expect, test } from 'vitest';

import type { Source } from '../platform/types';
import { state } from '../testing/fakes';
import { nextCamera, qualityWords, sameQuality, sourceChoices, sourceFromKey, sourceKey } from './source';

const CAMERAS = [
  { id: 'front', name: 'Front' },
  { id: 'back', name: 'Back' },
];

test('a source comes back from its key', () => {
  const sources: Source[] = [{ kind: 'auto' }, { kind: 'synthetic' }, { kind: 'device', id: 'auto' }];
  for (const source of sources) expect(sourceFromKey(sourceKey(source))).toEqual(source);
});

test('cameras are cycled, from the one that is open', () => {
  expect(nextCamera({ kind: 'auto' }, 'Front', CAMERAS)).toEqual({ kind: 'device', id: 'back' });
  expect(nextCamera({ kind: 'device', id: 'back' }, null, CAMERAS)).toEqual({ kind: 'device', id: 'front' });
  expect(nextCamera({ kind: 'synthetic' }, 'Test picture', CAMERAS)).toEqual({ kind: 'device', id: 'front' });
  expect(nextCamera({ kind: 'auto' }, 'Front', CAMERAS.slice(1))).toBeNull();
});

test('a chosen device that is not connected stays in the list', () => {
  const { camera } = state();
  const chosen = { kind: 'device', id: 'gone' } as const;
  const names = sourceChoices('Test picture', chosen, { ...camera, name: null }, CAMERAS).map((choice) => choice.name);
  expect(names).toEqual(['Automatic', 'Front', 'Back', 'Test picture', 'The chosen device']);
  expect(sourceChoices('Test picture', { kind: 'auto' }, camera, CAMERAS)[0]?.detail).toBe('Device');
});

test('a quality is told by its figures', () => {
  const { quality } = state().settings;
  expect(qualityWords(quality)).toBe('1280 × 720, 30 fps, 2.5 Mbit/s');
  expect(sameQuality(quality, { ...quality })).toBe(true);
  expect(sameQuality(quality, { ...quality, channels: 1 })).toBe(false);
});
