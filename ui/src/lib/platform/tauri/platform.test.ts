import { clearMocks, mockIPC } from '@tauri-apps/api/mocks';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Update } from '../types';
import { TauriPlatform } from './platform';

let calls: [string, unknown][];
let answer: (command: string) => unknown;
const platform = new TauriPlatform();

beforeEach(() => {
  calls = [];
  answer = () => null;
  mockIPC((command, args) => {
    calls.push([command, args]);
    return answer(command);
  });
});
afterEach(clearMocks);

test('commands have the names and arguments that the shell knows', async () => {
  await platform.previewShown(7);
  await platform.devices();
  await platform.start();
  await platform.stop();
  await platform.reconnect();
  await platform.openRoom();
  await platform.say('Hello');
  await platform.closeRoom();
  await platform.dismiss();
  await platform.setMuted(true);
  await platform.setCameraOn(false);
  await platform.changeSettings({ room: 'studio' });
  await platform.testConnection('https://example.org', null);
  await platform.pair('longtake://pair?x');
  await platform.useLocalServer();
  await platform.dismissNotice('settings_unusable');
  await platform.close('keep');
  await platform.copyText('link');
  expect(calls).toEqual([
    ['preview_shown', { sequence: 7 }],
    ['devices', {}],
    ['start', {}],
    ['stop', {}],
    ['reconnect', {}],
    ['open_room', {}],
    ['say', { text: 'Hello' }],
    ['close_room', {}],
    ['dismiss', {}],
    ['set_muted', { muted: true }],
    ['set_camera_on', { on: false }],
    ['change_settings', { change: { room: 'studio' } }],
    ['test_connection', { server: 'https://example.org', token: null }],
    ['pair', { link: 'longtake://pair?x' }],
    ['use_local_server', {}],
    ['dismiss_notice', { code: 'settings_unusable' }],
    ['close', { answer: 'keep' }],
    ['copy_text', { text: 'link' }],
  ]);
});

test('a command that fails throws the problem', async () => {
  const problem = { code: 'no_server', message: 'Say which.', retryable: false };
  answer = () => Promise.reject(problem);
  await expect(platform.start()).rejects.toEqual(problem);
  answer = () => Promise.reject('command start not found');
  await expect(platform.start()).rejects.toMatchObject({ code: 'internal' });
});

test('subscriptions hand over a channel, and are quiet once they are ended', async () => {
  const told: Update[] = [];
  const unsubscribe = await platform.watch((update) => told.push(update));
  const [command, args] = calls[0] ?? [];
  expect(command).toBe('watch');
  const { channel } = args as { channel: { onmessage: (update: Update) => void } };
  const update: Update = { kind: 'level', content: { peak_dbfs: -9, rms_dbfs: -20, clipped: false } };
  channel.onmessage(update);
  unsubscribe();
  channel.onmessage(update);
  expect(told).toEqual([update]);
});
