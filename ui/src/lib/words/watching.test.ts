import { expect, test } from 'vitest';

import type { Event } from '../protocol/types';
import { recorded, trackState } from '../testing/watching';
import { completeness, delay, deviceProblem, eventWords, qualityFigures, standingFor, transportName, viewers } from './watching';

test('a transport is named, and TCP where WebRTC goes over it', () => {
  expect([transportName('webrtc', false), transportName('webrtc', true), transportName('hls', false)]).toEqual([
    'WebRTC', 'WebRTC over TCP', 'HLS',
  ]);
});

test('figures are said as people read them', () => {
  expect([delay(43), delay(1_440), viewers(1), viewers(1_200)]).toEqual(['40 ms', '1.4 s', '1 viewer', '1,200 viewers']);
  const quality = { grade: 'good', lost: 0.02, jitterMs: 4.4, framesPerS: 29.8, bitsPerS: 2_100_000 } as const;
  expect(qualityFigures(quality)).toBe('30 fps, 2.1 Mbit/s, 2 % lost, 4 ms jitter');
  expect(qualityFigures({ ...quality, lost: null, jitterMs: null })).toBe('30 fps, 2.1 Mbit/s');
});

test('a recording says whether it is all there', () => {
  expect(completeness(recorded()).mark).toBe('complete');
  const video = trackState({ durable_units: 1_790 });
  expect(completeness(recorded({ video }))).toEqual({ mark: 'incomplete', text: '10 units are lost' });
  expect(completeness(recorded({ status: 'abandoned' })).mark).toBe('incomplete');
  expect(completeness(recorded({ status: 'interrupted' })).text).toBe('Reconnecting');
});

test('events have words, also those that a newer server has', () => {
  const event = { number: 0, at_90k: 0, detail: '' };
  expect(eventWords({ ...event, kind: 'device_switched', detail: 'Back' }, 'video')).toBe('Another camera: Back');
  expect(eventWords({ ...event, kind: 'muted' }, 'audio')).toBe('Muted');
  const figures = { ...event, kind: 'rate_lowered', detail: 'bitrate_bps=496492 paused=0' } as const;
  expect(eventWords(figures, 'video')).toBe('Lower quality for a slow network');
  const says = (kind: Event['kind'], detail: string) => eventWords({ ...event, kind, detail }, 'video');
  expect(says('rate_lowered', 'bitrate_bps=740000 full_bps=2000000 thinning=1 paused=0')).toBe(
    'Lower quality for a slow network: 740 kbit/s of 2.0 Mbit/s',
  );
  expect(says('rate_lowered', 'bitrate_bps=50000 full_bps=2000000 thinning=4 paused=1')).toContain('the picture follows later');
  expect(says('rate_restored', 'bitrate_bps=2000000 full_bps=2000000 thinning=1 paused=0')).toBe('Full quality again');
  expect(says('interrupted', 'reason=connection_lost')).toBe('Interrupted: the connection was lost');
  expect(says('resumed', 'reason=connection_lost away_ms=12000')).toBe('Goes on after 12 s');
  expect(says('interrupted', 'reason=toString')).toBe('Interrupted');
  expect(eventWords({ ...event, kind: 'meteor_strike' as 'muted' }, 'audio')).toBe('meteor strike');
});

test('every closed door says what to do', () => {
  for (const code of ['unauthorized', 'forbidden', 'removed', 'room_closed', 'room_full', 'not_found', 'internal']) {
    const standing = standingFor({ code: code as 'internal', message: 'So.', retryable: false });
    expect(standing.title, code).not.toBe('');
    expect(standing.text, code).not.toBe('');
  }
});

test('every device trouble says which device', () => {
  for (const name of ['NotAllowedError', 'NotFoundError', 'NotReadableError', 'Ended', 'SomethingElse']) {
    expect(deviceProblem('camera', name)).toContain('camera');
  }
});
