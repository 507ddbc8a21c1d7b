import type { Level } from '../platform/types';
import { listDevices, openCamera, openMicrophone, watchLevel, type MediaDevice } from '../server/devices';
import type { PeerFailure } from '../server/sdp_resource';
import { ServerError } from '../server/server';
import type { SourceListener } from '../server/source';
import { drawSession, type Address, type Tracks } from '../server/whip';
import { Backoff } from './backoff';
import { Meter } from './meter.svelte';

export type BroadcastPhase = 'opening' | 'ready' | 'connecting' | 'live' | 'reconnecting';

/** A device that could not be opened, by what the browser calls the reason. */
export interface DeviceProblem {
  device: 'camera' | 'microphone';
  name: string;
}

/** What a publication can be told while it runs. */
export interface Publication {
  replace(kind: 'video' | 'audio', track: MediaStreamTrack | null): Promise<void>;
  close(): void;
}

export type Publish = (to: Address, tracks: Tracks, listener: SourceListener) => Publication;

/** What opens devices; the browser's, unless a test has others. */
export const BROWSER_DEVICES = { listDevices, openCamera, openMicrophone, watchLevel };

/** A browser's camera and microphone, and their way to a room. */
export class Broadcast {
  phase = $state<BroadcastPhase>('opening');
  tracks = $state.raw<Tracks>({ video: null, audio: null });
  cameras = $state.raw<MediaDevice[]>([]);
  microphones = $state.raw<MediaDevice[]>([]);
  problems = $state.raw<DeviceProblem[]>([]);
  muted = $state(false);
  cameraOff = $state(false);
  /** The server does not take it, and why. */
  refusal = $state<string | null>(null);
  /** When it went live, in ms of the clock. */
  liveSince = $state<number | null>(null);
  readonly meter = new Meter();

  private to: Address = { room: '', name: '', session: '' };
  private publication: Publication | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private endLevel = () => {};
  private shut = false;
  private readonly backoff = new Backoff();

  constructor(
    private readonly publish: Publish,
    private readonly devices: typeof BROWSER_DEVICES = BROWSER_DEVICES,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Opens both devices; what fails is told apart, and the other one works. */
  async open(): Promise<void> {
    await this.openDevice('video', null);
    await this.openDevice('audio', null);
    await this.refreshDevices();
    if (this.phase === 'opening') this.phase = 'ready';
  }

  async refreshDevices(): Promise<void> {
    const found = await this.devices.listDevices().catch(() => null);
    if (!found || this.shut) return;
    this.cameras = found.cameras;
    this.microphones = found.microphones;
  }

  /** The id of the open device, as the lists have it. */
  chosen(kind: 'video' | 'audio'): string | null {
    return this.tracks[kind]?.getSettings().deviceId ?? null;
  }

  async choose(kind: 'video' | 'audio', id: string): Promise<void> {
    await this.openDevice(kind, id);
  }

  /** The camera after the open one, as a phone's front and back. */
  async switchCamera(): Promise<void> {
    if (this.cameras.length < 2) return;
    const at = this.cameras.findIndex(({ id }) => id === this.chosen('video'));
    const next = this.cameras[(at + 1) % this.cameras.length];
    if (next) await this.openDevice('video', next.id);
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.tracks.audio) this.tracks.audio.enabled = !muted;
  }

  setCameraOff(off: boolean): void {
    this.cameraOff = off;
    if (this.tracks.video) this.tracks.video.enabled = !off;
  }

  start(to: Omit<Address, 'session'>): void {
    if (this.publication || (!this.tracks.video && !this.tracks.audio)) return;
    // A connection that is lost and comes back goes on with the same session.
    this.to = { ...to, session: drawSession() };
    this.refusal = null;
    this.backoff.reset();
    this.phase = 'connecting';
    this.connect();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.publication?.close();
    this.publication = null;
    this.liveSince = null;
    this.phase = 'ready';
  }

  close(): void {
    this.shut = true;
    this.stop();
    this.endLevel();
    this.tracks.video?.stop();
    this.tracks.audio?.stop();
  }

  private connect(): void {
    const publication: Publication = this.publish(this.to, this.tracks, {
      connected: () => {
        if (this.publication !== publication) return;
        this.backoff.reset();
        this.phase = 'live';
        this.liveSince ??= this.now();
      },
      failed: (failure) => {
        if (this.publication === publication) this.failed(failure);
      },
    });
    this.publication = publication;
  }

  private failed(failure: PeerFailure): void {
    const error = failure.kind === 'refused' ? failure.error : null;
    if (error instanceof ServerError && !error.body.retryable) {
      this.stop();
      this.refusal = error.message;
      return;
    }
    // What was cut off is gone: a browser keeps nothing. The session goes on.
    this.phase = this.phase === 'connecting' ? 'connecting' : 'reconnecting';
    this.timer = setTimeout(() => this.connect(), this.backoff.next());
  }

  private async openDevice(kind: 'video' | 'audio', id: string | null): Promise<void> {
    const device = kind === 'video' ? 'camera' : 'microphone';
    const before = this.tracks[kind];
    // A phone gives its second camera only when the first is let go.
    if (kind === 'video') before?.stop();
    try {
      const track = kind === 'video' ? await this.devices.openCamera(id) : await this.devices.openMicrophone(id);
      if (this.shut) return track.stop();
      this.problems = this.problems.filter((problem) => problem.device !== device);
      await this.use(kind, track);
    } catch (error) {
      const name = error instanceof Error ? error.name : '';
      this.problems = [...this.problems.filter((problem) => problem.device !== device), { device, name }];
      if (kind === 'video' && before) await this.use(kind, null);
    }
  }

  private async use(kind: 'video' | 'audio', track: MediaStreamTrack | null): Promise<void> {
    if (track) track.enabled = kind === 'video' ? !this.cameraOff : !this.muted;
    this.tracks[kind]?.stop();
    this.tracks = { ...this.tracks, [kind]: track };
    if (kind === 'audio' && track) {
      this.endLevel();
      this.endLevel = this.devices.watchLevel(track, (level: Level) => this.meter.push(level, this.now()));
    }
    track?.addEventListener('ended', () => this.gone(kind, track));
    await this.publication?.replace(kind, track);
  }

  /** Unplugged, or taken back. */
  private gone(kind: 'video' | 'audio', track: MediaStreamTrack): void {
    if (this.tracks[kind] !== track) return;
    const device = kind === 'video' ? 'camera' : 'microphone';
    this.problems = [...this.problems.filter((problem) => problem.device !== device), { device, name: 'Ended' }];
    void this.use(kind, null);
  }
}
