import { expect, test } from 'vitest';

import { broadcastWords } from './broadcast';

test('a browser’s tracks say where they are, and that nothing is kept', () => {
  const say = (phase: Parameters<typeof broadcastWords>[1], open = true, off = false) =>
    broadcastWords('audio', phase, open, off, []).text;
  expect(say('opening', false)).toBe('Opening the microphone');
  expect(say('ready')).toBe('Ready');
  expect(say('ready', true, true)).toBe('Muted');
  expect(say('live', true, true)).toBe('Live, muted');
  expect(say('reconnecting')).toBe('Offline, not recording. Trying again by itself');
  expect(say('live', false)).toBe('No microphone');
  expect(broadcastWords('video', 'live', false, false, [{ device: 'camera', name: 'Ended' }]).text).toBe('The camera is gone');
});
