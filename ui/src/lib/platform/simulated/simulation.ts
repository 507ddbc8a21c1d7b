import type {
  Condition,
  DeviceList,
  Input,
  Problem,
  QualityPreset,
  RoomView,
  Session,
  SessionPhase,
  SettingsChange,
  Source,
  State,
} from '../types';
import { busyRoom, said } from './room';
import { SimulatedTrack } from './track';

export const SERVER = 'https://cam.example.org';
export const LOCAL_SERVER = 'http://localhost:7700';

const PRESETS: QualityPreset[] = [
  preset('360p', 640, 360, 800_000),
  preset('540p', 960, 540, 1_500_000),
  preset('720p', 1280, 720, 2_500_000),
  preset('1080p', 1920, 1080, 5_000_000),
];

const UPLINK_BPS = 7_000_000;

export const DEVICES: DeviceList = {
  cameras: [
    { id: 'front', name: 'Front camera' },
    { id: 'back', name: 'Back camera' },
    { id: 'usb', name: 'Logitech BRIO' },
  ],
  camera_problem: null,
  microphones: [
    { id: 'built-in', name: 'Built-in microphone' },
    { id: 'usb', name: 'RØDE NT-USB' },
  ],
  microphone_problem: null,
};

interface Take {
  view: Omit<Session, 'video' | 'audio' | 'phase'>;
  phase: SessionPhase;
  video: SimulatedTrack;
  audio: SimulatedTrack;
}

/** An app that believes it has devices and a network. Time passes only in `advance`. */
export class Simulation {
  networkUp = true;
  devices: DeviceList = DEVICES;
  refusal: Problem | null = null;
  /** The room as it is seen once it is visited. */
  room: RoomView = busyRoom();
  roomOpen = false;

  private takes = 0;
  private take: Take | null = null;

  readonly camera: Input = { source: { kind: 'auto' }, name: 'Front camera', on: true, condition: delivering() };
  readonly microphone: Input = {
    source: { kind: 'auto' },
    name: 'Built-in microphone',
    on: true,
    condition: delivering(),
  };
  private rest: Omit<State, 'camera' | 'microphone' | 'session'> = {
    settings: {
      server: SERVER,
      has_token: true,
      token_in_keyring: true,
      room: 'studio',
      alias: 'Me',
      camera: { kind: 'auto' },
      microphone: { kind: 'auto' },
      quality: (PRESETS[2] as QualityPreset).quality,
      when_slow: 'keep-up',
      spool_bytes: 4 * 2 ** 30,
      when_full: 'stop',
      mirrored: true,
    },
    presets: PRESETS,
    unfinished: [],
    local_server: null,
    notices: [],
    closing: false,
    version: '0.1.0',
  };

  state(): State {
    return structuredClone({
      ...this.rest,
      camera: this.camera,
      microphone: this.microphone,
      session: this.take && {
        ...this.take.view,
        phase: this.take.phase,
        video: this.take.video.view(),
        audio: this.take.audio.view(),
      },
    });
  }

  /** The room, while somebody looks at it or a session runs. */
  visited(): RoomView | null {
    return this.roomOpen || this.take?.phase.kind === 'running' ? this.room : null;
  }

  say(text: string): void {
    const { chat, viewer, phase } = this.room;
    const { alias } = this.rest.settings;
    if (phase.kind !== 'open' || viewer === null) throw problem('not_now', 'There is no connection to the room now.');
    const number = (chat.at(-1)?.number ?? 0) + 1;
    this.room = { ...this.room, chat: [...chat, said(number, alias ?? '', text, viewer)] };
  }

  /** Changes what stands beside devices and session. */
  set(rest: Partial<Simulation['rest']>): void {
    this.rest = { ...this.rest, ...rest };
  }

  advance(ms: number): void {
    const take = this.take;
    if (!take || take.phase.kind === 'complete' || take.phase.kind === 'incomplete') return;
    const link = { up: this.networkUp, capacityBps: UPLINK_BPS };
    if (take.phase.kind === 'running') take.view = { ...take.view, elapsed_ms: take.view.elapsed_ms + ms };
    // A camera that is off or lost goes on as a dark picture, so that the track has no hole.
    take.video.advance(ms, this.camera.condition.kind !== 'failed', link);
    take.audio.advance(ms, this.microphone.condition.kind !== 'failed', link);
    if (take.phase.kind === 'finishing' && take.video.done && take.audio.done) take.phase = { kind: 'complete' };
    if (this.networkUp && !this.refusal && take.view.elapsed_ms > 2500) take.view = { ...take.view, viewers: 4 };
  }

  start(): void {
    if (this.rest.settings.server === null) throw problem('no_server', 'Say which server first.');
    if (this.take?.phase.kind === 'running') throw problem('not_now', 'It is recording already.');
    this.takes += 1;
    const { quality, server, room } = this.rest.settings;
    const refusal = this.refusal && ({ kind: 'refused', problem: this.refusal } as const);
    const id = `01a3f0c2-77d4-7c1e-9a55-0000000000${String(this.takes).padStart(2, '0')}`;
    this.take = {
      view: {
        id,
        room,
        server,
        recording_url: `${server}/sessions/${id}/recording.mp4`,
        started_unix_ms: Date.now(),
        elapsed_ms: 0,
        viewers: null,
        storage: null,
      },
      phase: { kind: 'running' },
      video: new SimulatedTrack(7 * this.takes, quality.fps, quality.video_bitrate_bps, 0.11, refusal),
      audio: new SimulatedTrack(11 * this.takes, 50, quality.audio_bitrate_bps, 0.008, refusal, {
        drift_ppb: 12_300,
        offset_us_max: 1_200,
        offset_us_last: 300,
      }),
    };
  }

  stop(): void {
    if (this.take?.phase.kind !== 'running') throw problem('not_now', 'Nothing is being recorded.');
    this.take.phase = { kind: 'finishing' };
    this.take.video.end();
    this.take.audio.end();
  }

  giveUp(because: Problem): void {
    if (!this.take) return;
    this.take.phase = { kind: 'incomplete', problem: because };
    this.take.video.giveUp();
    this.take.audio.giveUp();
  }

  /** What this device says of the room for what waits. */
  keep(storage: Problem | null): void {
    if (this.take) this.take.view = { ...this.take.view, storage };
  }

  reconnect(): void {
    this.networkUp = true;
  }

  dismiss(): void {
    this.take = null;
  }

  change(change: SettingsChange): void {
    const { token, ...rest } = change;
    if (rest.server !== undefined && /\s/.test(rest.server)) {
      throw problem('bad_address', 'This is not an address. It looks like https://example.org.');
    }
    if (rest.server === '') Object.assign(rest, { server: null });
    const settings = { ...this.rest.settings, ...rest };
    if (token) settings.has_token = token.kind === 'set';
    this.rest = { ...this.rest, settings };
    if (change.camera) this.open(this.camera, change.camera, 'Test picture', this.devices.cameras);
    if (change.microphone) this.open(this.microphone, change.microphone, 'Test tone', this.devices.microphones);
    if (change.quality) {
      this.take?.video.want(change.quality.video_bitrate_bps);
      this.take?.audio.want(change.quality.audio_bitrate_bps);
    }
  }

  private open(input: Input, source: Source, synthetic: string, options: DeviceList['cameras']): void {
    const option = source.kind === 'device' ? options.find(({ id }) => id === source.id) : options[0];
    input.source = source;
    input.name = source.kind === 'synthetic' ? synthetic : (option?.name ?? synthetic);
    input.condition = delivering();
  }
}

/** A problem as the app would word it. */
export function problem(code: Problem['code'], message: string, retryable = false): Problem {
  return { code, message, retryable };
}

function delivering(): Condition {
  return { kind: 'delivering' };
}

function preset(name: string, width: number, height: number, video_bitrate_bps: number): QualityPreset {
  return {
    name,
    quality: { width, height, fps: 30, video_bitrate_bps, audio_bitrate_bps: 64_000, channels: 2 },
  };
}
