import type { SessionId } from '../../protocol/types';
import type { Source, SourceListener } from '../../server/source';
import type { CloseAnswer, Platform, Unsubscribe } from '../platform';
import type { ConnectionReport, ConnectionStep, DeviceList, Invitation, ProblemCode, SettingsChange, Update } from '../types';
import { Landscape } from './landscape';
import { SCENES } from './scenes';
import { LOCAL_SERVER, problem, SERVER, Simulation } from './simulation';
import { loudness } from './sound';
import { SimulatedSource } from './source';

const STATE_EVERY_MS = 100;
const LEVEL_EVERY_MS = 33;
const PICTURE_EVERY_MS = 33;
const STILL_EVERY_MS = 300;
const PICTURES_IN_FLIGHT = 2;
/** The screen sees the last minute of a scene's past, in steps of this. */
const PAST_STEP_MS = 500;
const PAST_SEEN_MS = 60_000;

/** A back-end of nothing: for working on the screen, and for looking at it in every state. */
export class SimulatedPlatform implements Platform {
  private readonly simulation = new Simulation();
  private listeners = new Set<(update: Update) => void>();
  private inFlight = 0;

  constructor(
    private readonly scene: string,
    private readonly portrait: boolean,
    private readonly still: boolean,
  ) {}

  /** `scene` names one of the scenes; with `picture=still` nothing in the picture moves. */
  static fromQuery(query: URLSearchParams): SimulatedPlatform {
    const portrait = matchMedia('(orientation: portrait)').matches;
    return new SimulatedPlatform(query.get('scene') ?? 'ready', portrait, query.get('picture') === 'still');
  }

  async watch(listener: (update: Update) => void): Promise<Unsubscribe> {
    this.listeners.add(listener);
    this.tell();
    this.play();
    const timers = [
      setInterval(() => {
        this.simulation.advance(STATE_EVERY_MS);
        this.tell();
      }, STATE_EVERY_MS),
      setInterval(() => {
        if (this.simulation.microphone.condition.kind !== 'delivering') return;
        const content = loudness(performance.now() / 1000, this.simulation.microphone.on);
        listener({ kind: 'level', content });
      }, LEVEL_EVERY_MS),
    ];
    return () => {
      this.listeners.delete(listener);
      timers.forEach(clearInterval);
    };
  }

  async preview(listener: (picture: ArrayBuffer) => void): Promise<Unsubscribe> {
    const landscape = this.portrait ? new Landscape(360, 640) : new Landscape(640, 360);
    const { camera } = this.simulation;
    const timer = setInterval(() => {
      if (camera.condition.kind !== 'delivering' || !camera.on || this.inFlight >= PICTURES_IN_FLIGHT) return;
      this.inFlight += 1;
      listener(landscape.next(this.still ? 0 : performance.now() / 1000));
    }, this.still ? STILL_EVERY_MS : PICTURE_EVERY_MS);
    return () => clearInterval(timer);
  }

  async previewShown(): Promise<void> {
    this.inFlight -= 1;
  }

  async devices(): Promise<DeviceList> {
    return this.simulation.devices;
  }

  start(): Promise<void> {
    return this.change(() => this.simulation.start());
  }

  stop(): Promise<void> {
    return this.change(() => this.simulation.stop());
  }

  reconnect(): Promise<void> {
    return this.change(() => this.simulation.reconnect());
  }

  dismiss(): Promise<void> {
    return this.change(() => this.simulation.dismiss());
  }

  setMuted(muted: boolean): Promise<void> {
    return this.change(() => (this.simulation.microphone.on = !muted));
  }

  setCameraOn(on: boolean): Promise<void> {
    return this.change(() => (this.simulation.camera.on = on));
  }

  changeSettings(change: SettingsChange): Promise<void> {
    return this.change(() => this.simulation.change(change));
  }

  async testConnection(server: string, token: string | null): Promise<ConnectionReport> {
    const passed = (name: ConnectionStep['name'], detail: string): ConnectionStep => ({
      name,
      outcome: { kind: 'passed', detail },
    });
    const refused = token === 'wrong' || this.simulation.refusal !== null;
    return {
      server: server || SERVER,
      steps: [
        passed('name', '203.0.113.7'),
        passed('connect', '21 ms'),
        passed('tls', 'TLS 1.3'),
        passed('version', 'longtake-ingest 0.1.0'),
        refused
          ? { name: 'token', outcome: { kind: 'failed', problem: problem('unauthorized', 'The server does not accept the token. Copy it again from the server’s output.') } }
          : passed('token', 'accepted'),
      ],
    };
  }

  async invite(): Promise<Invitation> {
    const link = `https://cam.example/watch/studio#token=eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoidmlldyJ9.c2ltdWxhdGVk`;
    return { link, ends_unix_ms: Date.UTC(2026, 5, 14, 18), is_local: false };
  }

  openRoom(): Promise<void> {
    return this.change(() => (this.simulation.roomOpen = true));
  }

  closeRoom(): Promise<void> {
    return this.change(() => (this.simulation.roomOpen = false));
  }

  playSession(_session: SessionId, video: HTMLVideoElement, listener: SourceListener): Source {
    return new SimulatedSource(video, listener);
  }

  say(text: string): Promise<void> {
    return this.change(() => this.simulation.say(text));
  }

  pair(link: string): Promise<void> {
    return this.change(() => {
      if (!link.startsWith('longtake://pair?')) {
        throw problem('bad_pairing_link', 'This is not a pairing link. The server prints one when it starts: longtake://pair?…');
      }
      this.simulation.change({ server: SERVER, token: { kind: 'set', token: 'paired' } });
    });
  }

  useLocalServer(): Promise<void> {
    return this.change(() => {
      this.simulation.change({ server: LOCAL_SERVER });
      this.simulation.set({ local_server: null });
    });
  }

  dismissNotice(code: ProblemCode): Promise<void> {
    return this.change(() => {
      const { notices } = this.simulation.state();
      this.simulation.set({ notices: notices.filter((notice) => notice.code !== code) });
    });
  }

  close(answer: CloseAnswer): Promise<void> {
    return this.change(() => {
      this.simulation.set({ closing: false });
      if (answer === 'finish') this.simulation.stop();
    });
  }

  async copyText(text: string): Promise<void> {
    await navigator.clipboard?.writeText(text);
  }

  private async change(change: () => unknown): Promise<void> {
    change();
    this.tell();
  }

  private tell(): void {
    const content = this.simulation.state();
    for (const listener of this.listeners) {
      listener({ kind: 'state', content });
      listener({ kind: 'room', content: this.simulation.visited() });
    }
  }

  /** Plays the scene's past; the screen is told its end in steps. */
  private play(): void {
    const scene = SCENES[this.scene];
    if (!scene) throw problem('internal', `There is no scene “${this.scene}”. There are ${Object.keys(SCENES).join(', ')}.`);
    scene(this.simulation, (ms) => {
      const unseen = Math.max(0, ms - PAST_SEEN_MS);
      for (let at = 0; at < unseen; at += 1000) this.simulation.advance(Math.min(1000, unseen - at));
      for (let at = unseen; at < ms; at += PAST_STEP_MS) {
        this.simulation.advance(Math.min(PAST_STEP_MS, ms - at));
        this.tell();
      }
    });
    this.tell();
  }
}
