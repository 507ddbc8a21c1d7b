import { expect, test } from 'vitest';

import type { SessionPhase, Track } from '../platform/types';
import { problem, session, state, track } from '../testing/fakes';
import { trackWords } from './track';

const backlog = { backlog_bytes: 3_400_000, backlog_ms: 11_300, durable_units: 1790 };
const finishing: SessionPhase = { kind: 'finishing' };
const offline: Track['phase'] = { kind: 'offline', reason: 'Gone.' };

test.each<[Track['phase'], SessionPhase, string]>([
  [{ kind: 'waiting' }, { kind: 'running' }, 'Waiting for the camera'],
  [{ kind: 'connecting' }, { kind: 'running' }, 'Connecting'],
  [{ kind: 'live' }, { kind: 'running' }, 'Live'],
  [{ kind: 'catching_up' }, { kind: 'running' }, 'Catching up, 12 s left (3.4 MB)'],
  [offline, { kind: 'running' }, 'Offline, recording on this device (3.4 MB kept)'],
  [offline, finishing, 'Offline, 3.4 MB kept on this device'],
  [{ kind: 'complete' }, { kind: 'complete' }, 'Complete, 1,790 of 1,800'],
  [{ kind: 'incomplete' }, finishing, 'Incomplete, 1,790 of 1,800'],
  [{ kind: 'refused', problem: problem('unauthorized', 'Enter a token.') }, { kind: 'running' }, 'Token refused, recording here (3.4 MB kept)'],
  [{ kind: 'refused', problem: problem('server_refused') }, finishing, 'Refused, 3.4 MB kept here'],
])('the phase %o is said in words', (phase, sessionPhase, text) => {
  const words = trackWords('video', state().camera, session({ phase: sessionPhase, video: track(phase, backlog) }));
  expect(words.text).toBe(text);
  expect(words.phase).toBe(phase.kind);
});

test('what is lost is never hidden', () => {
  for (const kind of ['live', 'catching_up', 'offline'] as const) {
    const phase = kind === 'offline' ? offline : { kind };
    const words = trackWords('audio', state().microphone, session({ audio: track(phase, { lost_units: 1200 }) }));
    expect(words.text).toContain('1,200 lost');
    expect(words.tone).toBe('warn');
  }
});

test('before a session the line says how the device is', () => {
  const { camera } = state();
  const failed = { kind: 'failed', problem: problem('device_busy') } as const;
  expect(trackWords('video', camera, null).text).toBe('Ready');
  expect(trackWords('video', { ...camera, on: false }, null).text).toBe('Camera off');
  expect(trackWords('audio', { ...camera, on: false }, null).text).toBe('Muted');
  expect(trackWords('audio', { ...camera, condition: { kind: 'opening' } }, null).text).toBe('Opening the microphone');
  expect(trackWords('video', { ...camera, condition: failed }, null)).toMatchObject({
    phase: 'problem',
    text: 'Another program has the camera',
    tone: 'fault',
  });
});

test('a live track says when there is nothing to see or to hear', () => {
  const { camera } = state();
  const lost = { kind: 'lost', problem: problem('device_unplugged') } as const;
  expect(trackWords('video', { ...camera, on: false }, session()).text).toBe('Live, camera off');
  expect(trackWords('audio', { ...camera, on: false }, session()).text).toBe('Live, muted');
  expect(trackWords('video', { ...camera, condition: lost }, session())).toMatchObject({
    text: 'Live, but the camera is gone',
    tone: 'warn',
  });
});

test('a picture that the network lowers says so, and one that it does not carry', () => {
  const said = (changes: Partial<Track>) =>
    trackWords('video', state().camera, session({ video: { ...track(), ...changes } }));
  const lowered = said({ wanted_bitrate_bps: 740_000, full_bitrate_bps: 2_000_000 });
  expect(lowered).toMatchObject({ text: 'Live, keeping up: 740 of 2,000 kbit/s', spoken: 'live, keeping up', tone: 'ok' });
  expect(said({ is_paused: true })).toMatchObject({ text: 'Not live: too little network', tone: 'warn' });
});

test('what is said aloud holds no numbers', () => {
  for (const kind of ['live', 'catching_up', 'complete', 'incomplete'] as const) {
    const words = trackWords('video', state().camera, session({ video: track({ kind }, backlog) }));
    expect(words.spoken).not.toMatch(/\d/);
  }
});
