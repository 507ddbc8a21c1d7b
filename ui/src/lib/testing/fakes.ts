import { vi } from 'vitest';

import type { Platform } from '../platform/platform';
import { reading } from './watching';
import type { DeviceList, Level, Problem, RoomView, Session, State, Track, Update } from '../platform/types';

/** A platform of mocks that all succeed; `tell` is what it tells the screen. */
export function fakePlatform(devices: Partial<DeviceList> = {}) {
  let listener: (update: Update) => void = () => {};
  let pictures: (picture: ArrayBuffer) => void = () => {};
  const done = () => vi.fn(async () => {});
  const platform = {
    watch: vi.fn(async (to: (update: Update) => void) => {
      listener = to;
      return () => (listener = () => {});
    }),
    preview: vi.fn(async (to: (picture: ArrayBuffer) => void) => {
      pictures = to;
      return () => (pictures = () => {});
    }),
    previewShown: vi.fn<Platform['previewShown']>(async () => {}),
    devices: vi.fn(async () => ({
      cameras: [],
      camera_problem: null,
      microphones: [],
      microphone_problem: null,
      ...devices,
    })),
    start: done(),
    stop: done(),
    reconnect: done(),
    invite: vi.fn<Platform['invite']>(async () => ({
      link: 'https://example.org/watch/studio#token=abc',
      ends_unix_ms: Date.UTC(2026, 5, 14, 18),
      is_local: false,
    })),
    openRoom: vi.fn<Platform['openRoom']>(async () => {}),
    closeRoom: done(),
    playSession: vi.fn<Platform['playSession']>(() => ({ transport: 'hls', read: async () => reading(), close: () => {} })),
    say: vi.fn<Platform['say']>(async () => {}),
    dismiss: done(),
    setMuted: vi.fn<Platform['setMuted']>(async () => {}),
    setCameraOn: vi.fn<Platform['setCameraOn']>(async () => {}),
    changeSettings: vi.fn<Platform['changeSettings']>(async () => {}),
    testConnection: vi.fn<Platform['testConnection']>(async (server) => ({ server, steps: [] })),
    pair: vi.fn<Platform['pair']>(async () => {}),
    useLocalServer: done(),
    dismissNotice: vi.fn<Platform['dismissNotice']>(async () => {}),
    close: vi.fn<Platform['close']>(async () => {}),
    copyText: vi.fn<Platform['copyText']>(async () => {}),
  } satisfies Platform;
  return {
    platform,
    tell: (content: State) => listener({ kind: 'state', content }),
    tellRoom: (content: RoomView | null) => listener({ kind: 'room', content }),
    level: (content: Level) => listener({ kind: 'level', content }),
    picture: (bytes: ArrayBuffer) => pictures(bytes),
  };
}

export function problem(code: Problem['code'], message = `It is ${code}.`): Problem {
  return { code, message, retryable: false };
}

export function state(changes: Partial<State> = {}): State {
  const input = { source: { kind: 'auto' }, name: 'Device', on: true, condition: { kind: 'delivering' } } as const;
  return {
    camera: input,
    microphone: input,
    session: null,
    settings: {
      server: 'https://example.org',
      has_token: true,
      token_in_keyring: true,
      room: 'studio',
      alias: null,
      camera: { kind: 'auto' },
      microphone: { kind: 'auto' },
      quality: {
        width: 1280,
        height: 720,
        fps: 30,
        video_bitrate_bps: 2_500_000,
        audio_bitrate_bps: 64_000,
        channels: 2,
      },
      when_slow: 'keep-up',
      spool_bytes: 4 * 2 ** 30,
      when_full: 'stop',
      mirrored: false,
    },
    presets: [],
    unfinished: [],
    local_server: null,
    notices: [],
    closing: false,
    version: '1.2.3',
    ...changes,
  };
}

export function roomView(changes: Partial<RoomView> = {}): RoomView {
  return {
    name: 'studio',
    phase: { kind: 'open' },
    viewer: 'b'.repeat(32),
    viewers: 3,
    sessions: [],
    chat: [],
    refusal: null,
    ...changes,
  };
}

export function session(changes: Partial<Session> = {}): Session {
  return {
    id: 'a',
    room: 'studio',
    server: 'https://example.org',
    recording_url: 'https://example.org/sessions/a/recording.mp4',
    started_unix_ms: 0,
    elapsed_ms: 0,
    phase: { kind: 'running' },
    viewers: null,
    storage: null,
    video: track(),
    audio: track(),
    ...changes,
  };
}

export function track(phase: Track['phase'] = { kind: 'live' }, arrival: Partial<Track['arrival']> = {}): Track {
  return {
    phase,
    arrival: {
      units: 1800,
      durable_units: 1800,
      lost_units: 0,
      backlog_units: 0,
      backlog_bytes: 0,
      backlog_ms: 0,
      ...arrival,
    },
    bitrate_bps: 2_400_000,
    wanted_bitrate_bps: 2_500_000,
    full_bitrate_bps: 2_500_000,
    is_paused: false,
    units_per_second: 29.97,
    dropped: 3,
    encoder_load: 0.18,
    round_trip_ms: 21,
    clock: null,
  };
}
