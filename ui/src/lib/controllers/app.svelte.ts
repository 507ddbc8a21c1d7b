import type { CloseAnswer, Platform, Unsubscribe } from '../platform/platform';
import { toProblem } from '../platform/problem';
import type { DeviceList, Invitation, Problem, SettingsChange, State, Update } from '../platform/types';
import { nextCamera } from '../words/source';
import { Announcements } from './announcements.svelte';
import { BacklogHistory } from './backlog.svelte';
import { ElapsedClock } from './elapsed.svelte';
import { Meter } from './meter.svelte';
import { RoomVisit } from './room_visit.svelte';

/** A command that failed, until somebody has read it. */
export interface Failure {
  id: number;
  problem: Problem;
}

/** Problems that are solved in the settings of the server. */
const SOLVED_BY_SERVER_SETTINGS: Problem['code'][] = ['no_server', 'bad_address', 'unauthorized'];

export function solvedByServerSettings(code: Problem['code']): boolean {
  return SOLVED_BY_SERVER_SETTINGS.includes(code);
}

/**
 * Holds what the platform tells and turns what a person does into commands. It keeps no truth of its own: what a
 * command changes is seen when the next state tells it. A command that fails is kept in `failures`.
 */
export class AppController {
  state = $state.raw<State | null>(null);
  devices = $state.raw<DeviceList>({ cameras: [], camera_problem: null, microphones: [], microphone_problem: null });
  failures = $state.raw<Failure[]>([]);
  /** Commands under way, by name. */
  busy = $state.raw<ReadonlySet<string>>(new Set());

  readonly meter: Meter;
  readonly elapsed: ElapsedClock;
  readonly backlog: BacklogHistory;
  readonly announcements = new Announcements();
  readonly room: RoomVisit;

  private failuresSoFar = 0;
  private unsubscribe: Unsubscribe | null = null;

  /**
   * @param wantServer called when the next step is to say which server.
   * @param now a steady clock, in ms.
   */
  constructor(
    readonly platform: Platform,
    private readonly wantServer: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.meter = new Meter();
    this.elapsed = new ElapsedClock();
    this.backlog = new BacklogHistory();
    this.room = new RoomVisit(platform, (text) => (this.announcements.text = text));
  }

  /** Subscribes to the platform and lists the devices. */
  async open(): Promise<void> {
    await this.run('watch', async () => {
      this.unsubscribe = await this.platform.watch((update) => this.take(update));
    });
    await this.listDevices();
  }

  /** Ends the subscription. */
  shut(): void {
    this.unsubscribe?.();
    this.unsubscribe = null;
  }

  private take(update: Update): void {
    if (update.kind === 'level') {
      this.meter.push(update.content, this.now());
      return;
    }
    if (update.kind === 'room') {
      this.room.take(update.content);
      return;
    }
    const before = this.state;
    const state = update.content;
    this.state = state;
    this.elapsed.take(state.session, this.now());
    this.backlog.take(state.session, this.now());
    this.announcements.take(before, state);
    if (before && devicesMayDiffer(before, state)) void this.listDevices();
  }

  async listDevices(): Promise<void> {
    await this.run('devices', async () => {
      this.devices = await this.platform.devices();
    });
  }

  /** Starts a session, or asks for the server first when there is none. */
  async start(): Promise<void> {
    if (this.state && this.state.settings.server === null) {
      this.wantServer();
      return;
    }
    const problem = await this.run('start', () => this.platform.start());
    if (problem && solvedByServerSettings(problem.code)) this.wantServer();
  }

  async stop(): Promise<void> {
    await this.run('stop', () => this.platform.stop());
  }

  async reconnect(): Promise<void> {
    await this.run('reconnect', () => this.platform.reconnect());
  }

  /** A link by which others watch, or why there is none. */
  async invite(): Promise<Invitation | Problem> {
    try {
      return await this.platform.invite();
    } catch (error) {
      return toProblem(error);
    }
  }

  async dismiss(): Promise<void> {
    await this.run('dismiss', () => this.platform.dismiss());
  }

  async toggleMuted(): Promise<void> {
    const on = this.state?.microphone.on ?? true;
    await this.run('mute', () => this.platform.setMuted(on));
  }

  async toggleCamera(): Promise<void> {
    const on = this.state?.camera.on ?? true;
    await this.run('camera', () => this.platform.setCameraOn(!on));
  }

  /** True when there is another camera to switch to. */
  get canSwitchCamera(): boolean {
    return this.devices.cameras.length > 1;
  }

  async switchCamera(): Promise<void> {
    if (!this.state) return;
    const next = nextCamera(this.state.settings.camera, this.state.camera.name, this.devices.cameras);
    if (next) await this.change({ camera: next });
  }

  /** Changes settings; the problem, if it failed, is shown and returned. */
  change(change: SettingsChange): Promise<Problem | null> {
    return this.run('settings', () => this.platform.changeSettings(change));
  }

  async useLocalServer(): Promise<void> {
    await this.run('local server', () => this.platform.useLocalServer());
  }

  async dismissNotice(code: Problem['code']): Promise<void> {
    await this.run('notice', () => this.platform.dismissNotice(code));
  }

  close(answer: CloseAnswer): Promise<Problem | null> {
    return this.run('close', () => this.platform.close(answer));
  }

  async copy(text: string): Promise<Problem | null> {
    return this.run('copy', () => this.platform.copyText(text));
  }

  /** Shows a problem until somebody dismisses it. The same words are shown once. */
  show(problem: Problem): void {
    if (this.failures.some((failure) => failure.problem.message === problem.message)) return;
    this.failuresSoFar += 1;
    this.failures = [...this.failures, { id: this.failuresSoFar, problem }];
  }

  /** Takes a failure off the screen. */
  forget(id: number): void {
    this.failures = this.failures.filter((failure) => failure.id !== id);
  }

  /** Runs a command; what it throws is shown and returned. */
  async run(name: string, command: () => Promise<void>): Promise<Problem | null> {
    this.busy = new Set([...this.busy, name]);
    try {
      await command();
      return null;
    } catch (error) {
      const problem = toProblem(error);
      this.show(problem);
      return problem;
    } finally {
      this.busy = new Set([...this.busy].filter((one) => one !== name));
    }
  }
}

/** A device that comes or goes changes what is open or in which condition it is. */
function devicesMayDiffer(before: State, after: State): boolean {
  return (['camera', 'microphone'] as const).some(
    (input) =>
      before[input].condition.kind !== after[input].condition.kind || before[input].name !== after[input].name,
  );
}
