import type { ChatMessage, RoomSession } from '../../protocol/types';
import type { RoomView } from '../types';

/** Who this app is in the simulated room. */
const SELF = 'b'.repeat(32);
/** When the first thing was said: a Sunday in June, for pictures that stay the same. */
const BEGIN_UNIX_MS = Date.UTC(2026, 5, 14, 10, 31);

/** A room without anybody else. */
export function emptyRoom(): RoomView {
  return { name: 'studio', phase: { kind: 'open' }, viewer: SELF, viewers: 1, sessions: [], chat: [], refusal: null };
}

/** A room with another camera, some who watch, and a talk. */
export function busyRoom(): RoomView {
  const chat = [
    said(1, 'Ada', 'Good morning! The sound is much better today.'),
    said(2, 'Grace', 'Is that the lake behind the house?'),
    said(3, 'Me', 'It is. The sun comes over the ridge in five minutes.', SELF),
    said(4, 'A person with rather a long name, for a chat', 'https://example.org/a/very/long/address/that/does/not/fit/into/one/line'),
  ];
  return { ...emptyRoom(), viewers: 4, sessions: [otherCamera()], chat };
}

export function said(number: number, alias: string, text: string, viewer = alias.padEnd(32, '0')): ChatMessage {
  return { number, viewer, alias, text, at_unix_ms: BEGIN_UNIX_MS + number * 47_000 };
}

function otherCamera(): RoomSession {
  return {
    id: '01a3f0c2-77d4-7c1e-9a55-0000000000ff',
    name: 'Camera at the jetty',
    status: 'active',
    started_unix_ms: Date.now() - 184_000,
    video: { codec: { codec: 'h264', width: 1280, height: 720, frame_duration_90k: 3_000, avcc: '' }, connected: true },
    audio: { codec: { codec: 'opus', channels: 1, pre_skip_48k: 312 }, connected: true },
  };
}
