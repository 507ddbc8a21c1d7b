import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ServerError } from '../server/server';
import type { SourceListener } from '../server/source';
import { drawSession, type Tracks } from '../server/whip';
import { Broadcast, type BROWSER_DEVICES, type Publication } from './broadcast.svelte';

function track(id: string) {
  const made = Object.assign(new EventTarget(), { enabled: true, stop: vi.fn(), getSettings: () => ({ deviceId: id }) });
  return made as unknown as MediaStreamTrack & EventTarget;
}

const devices = {
  listDevices: vi.fn<(typeof BROWSER_DEVICES)['listDevices']>(),
  openCamera: vi.fn<(typeof BROWSER_DEVICES)['openCamera']>(),
  openMicrophone: vi.fn<(typeof BROWSER_DEVICES)['openMicrophone']>(),
  watchLevel: vi.fn<(typeof BROWSER_DEVICES)['watchLevel']>(() => () => {}),
};
let published: { room: string; session: string; tracks: Tracks; listener: SourceListener; to: Publication }[];
let broadcast: Broadcast;
const latest = () => published.at(-1)!;

beforeEach(async () => {
  vi.useFakeTimers();
  published = [];
  devices.listDevices.mockResolvedValue({
    cameras: [
      { id: 'front', name: 'Front' },
      { id: 'back', name: 'Back' },
    ],
    microphones: [{ id: 'mic', name: 'Microphone' }],
  });
  devices.openCamera.mockImplementation(async (id) => track(id ?? 'front'));
  devices.openMicrophone.mockImplementation(async (id) => track(id ?? 'mic'));
  broadcast = new Broadcast(
    ({ room, session }, tracks, listener) => {
      const to = { replace: vi.fn(async () => {}), close: vi.fn() };
      published.push({ room, session, tracks, listener, to });
      return to;
    },
    devices,
    () => Date.now(),
  );
  await broadcast.open();
});

afterEach(() => {
  broadcast.close();
  vi.useRealTimers();
});

test('it publishes what is open, and is live once it is connected', () => {
  expect(broadcast.phase).toBe('ready');
  broadcast.start({ room: 'studio', name: 'Ada' });
  expect([latest().room, latest().tracks === broadcast.tracks, broadcast.phase]).toEqual(['studio', true, 'connecting']);
  latest().listener.connected();
  expect(broadcast.phase).toBe('live');
  broadcast.stop();
  expect([broadcast.phase, vi.mocked(latest().to.close).mock.calls.length]).toEqual(['ready', 1]);
});

test('another camera takes the place of the one that is sent', async () => {
  broadcast.start({ room: 'studio', name: 'Ada' });
  const front = broadcast.tracks.video!;
  await broadcast.switchCamera();
  expect(front.stop).toHaveBeenCalled();
  expect(broadcast.chosen('video')).toBe('back');
  expect(latest().to.replace).toHaveBeenCalledWith('video', broadcast.tracks.video);
  await broadcast.switchCamera();
  expect(broadcast.chosen('video')).toBe('front');
});

test('what is muted stays muted with another microphone', async () => {
  broadcast.setMuted(true);
  await broadcast.choose('audio', 'mic');
  expect(broadcast.tracks.audio?.enabled).toBe(false);
});

test('a lost connection comes back, and a refusal is told', async () => {
  broadcast.start({ room: 'studio', name: 'Ada' });
  latest().listener.connected();
  latest().listener.failed({ kind: 'lost' });
  expect(broadcast.phase).toBe('reconnecting');
  await vi.advanceTimersByTimeAsync(600);
  expect(published).toHaveLength(2);
  expect(published[0]!.session).toBe(published[1]!.session);
  const body = { code: 'unauthorized', message: 'The token is wrong.', retryable: false } as const;
  latest().listener.failed({ kind: 'refused', error: new ServerError(401, body) });
  expect([broadcast.phase, broadcast.refusal]).toEqual(['ready', 'The token is wrong.']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(published).toHaveLength(2);
  broadcast.start({ room: 'studio', name: 'Ada' });
  expect(latest().session).not.toBe(published[0]!.session);
});

test('a session is called by a UUID of its time, and a key', () => {
  const [id, key] = drawSession(1_700_000_000_000).split(' ');
  expect(id).toMatch(/^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  expect(drawSession()).not.toBe(drawSession());
});

test('without a camera it publishes sound', async () => {
  broadcast.close();
  devices.openCamera.mockRejectedValue(new DOMException('', 'NotAllowedError'));
  broadcast = new Broadcast(({ room, session }, tracks, listener) => {
    published.push({ room, session, tracks, listener, to: { replace: async () => {}, close: () => {} } });
    return latest().to;
  }, devices);
  await broadcast.open();
  expect(broadcast.problems).toEqual([{ device: 'camera', name: 'NotAllowedError' }]);
  broadcast.start({ room: 'studio', name: 'Ada' });
  expect([latest().tracks.video, latest().tracks.audio !== null]).toEqual([null, true]);
});

test('an unplugged camera is told, and the sound goes on', () => {
  broadcast.start({ room: 'studio', name: 'Ada' });
  broadcast.tracks.video!.dispatchEvent(new Event('ended'));
  expect(broadcast.problems).toEqual([{ device: 'camera', name: 'Ended' }]);
  expect([broadcast.tracks.video, broadcast.tracks.audio !== null]).toEqual([null, true]);
  expect(latest().to.replace).toHaveBeenCalledWith('video', null);
});
