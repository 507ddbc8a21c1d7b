import type { ChatMessage, Room, RoomMessage, RoomSession, Session, TrackState } from '../protocol/types';
import type { Reading } from '../server/source';

const H264 = { codec: 'h264', width: 1280, height: 720, frame_duration_90k: 3_000, avcc: '' } as const;
const OPUS = { codec: 'opus', channels: 1, pre_skip_48k: 312 } as const;

export const SESSION_ID = '01890a5d-ac96-7b7c-8f4e-000000000001';

export function reading(more: Partial<Reading> = {}): Reading {
  const none = { packetsLost: 0, packetsReceived: 0, jitterMs: null, delayMs: null, audioLevel: null };
  return { at: 0, bytes: 0, frames: 0, ...none, ...more };
}

export function roomSession(more: Partial<RoomSession> = {}): RoomSession {
  return {
    id: SESSION_ID,
    name: 'Field camera',
    status: 'active',
    started_unix_ms: 1_700_000_000_000,
    video: { codec: H264, connected: true },
    audio: { codec: OPUS, connected: true },
    ...more,
  };
}

export function room(more: Partial<Room> = {}): Room {
  return { name: 'studio', sessions: [roomSession()], viewers: 1, ...more };
}

export function chat(number: number, more: Partial<ChatMessage> = {}): ChatMessage {
  return { number, viewer: 'a'.repeat(32), alias: 'Ada', text: `Message ${number}`, at_unix_ms: 1_700_000_000_000, ...more };
}

export function joined(more: Partial<RoomMessage & { type: 'joined' }> = {}): RoomMessage {
  return {
    type: 'joined',
    viewer: 'b'.repeat(32),
    viewer_token: 'viewer-token',
    rights: { publish: false, administer: false },
    room: room(),
    chat: [],
    ...more,
  };
}

export function trackState(more: Partial<TrackState> = {}): TrackState {
  return {
    units: 1_800,
    durable_units: 1_800,
    durable_bytes: 15_000_000,
    duration_ms: 60_000,
    codec: H264,
    codec_string: 'avc1.42e01f',
    connected: false,
    finished: true,
    gaps: [],
    lost: [],
    events: [],
    ...more,
  };
}

export function recorded(more: Partial<Session> = {}): Session {
  return {
    id: SESSION_ID,
    room: 'studio',
    status: 'completed',
    device: { name: 'Field camera', platform: 'linux', app: 'longtake 0.1.0' },
    started_unix_ms: 1_700_000_000_000,
    last_activity_unix_ms: 1_700_000_060_000,
    video: trackState(),
    audio: trackState({ units: 3_000, durable_units: 3_000, codec: OPUS, codec_string: 'opus' }),
    ...more,
  };
}
