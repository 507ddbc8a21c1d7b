import type { SessionId } from '../protocol/types';
import type { HlsWish } from '../server/hls';
import type { Source, SourceListener } from '../server/source';
import type { ConnectionReport, DeviceList, Invitation, ProblemCode, SettingsChange, Update } from './types';

/** Ends a subscription. */
export type Unsubscribe = () => void;

/**
 * What the screen needs from whatever runs it: the app's shell, a simulation, a test's fake.
 *
 * Every promise that fails does so with a `Problem`.
 */
export interface Platform {
  /** Tells the listener the state, the room and the level: the state and the room at once and at each change. */
  watch(listener: (update: Update) => void): Promise<Unsubscribe>;
  /** Hands over pictures, laid out as `picture.ts` says. At most two are under way until `previewShown` is called. */
  preview(listener: (picture: ArrayBuffer) => void): Promise<Unsubscribe>;
  /** The credit for a picture: its sequence number. */
  previewShown(sequence: number): Promise<void>;

  devices(): Promise<DeviceList>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Connects now instead of at the next attempt. */
  reconnect(): Promise<void>;
  /** Makes a link by which others watch the room. */
  invite(): Promise<Invitation>;
  /** Visits the room, also without a session; again, where that was refused. */
  openRoom(): Promise<void>;
  /** Leaves it, unless a session runs. */
  closeRoom(): Promise<void>;
  /** Begins to play another session of the room that is visited. */
  playSession(session: SessionId, video: HTMLVideoElement, listener: SourceListener, wish: HlsWish): Source;
  /** Says something in the room's chat. */
  say(text: string): Promise<void>;
  /** Forgets the session that has ended. */
  dismiss(): Promise<void>;
  setMuted(muted: boolean): Promise<void>;
  setCameraOn(on: boolean): Promise<void>;
  changeSettings(change: SettingsChange): Promise<void>;
  /** Without a token, the kept one is tried. */
  testConnection(server: string, token: string | null): Promise<ConnectionReport>;
  pair(link: string): Promise<void>;
  useLocalServer(): Promise<void>;
  dismissNotice(code: ProblemCode): Promise<void>;
  /** The answer to `State.closing`. */
  close(answer: CloseAnswer): Promise<void>;
  copyText(text: string): Promise<void>;
}

/** Finish the session and close the window, or keep both. */
export type CloseAnswer = 'finish' | 'keep';
