import type { ChatMessage, ErrorBody, Rights, RoomMessage, RoomSession, ViewerMessage } from '../protocol/types';
import type { RoomListener } from '../server/room_socket';

/** Where a visit to a room is. */
export type RoomPhase =
  | { kind: 'connecting' }
  | { kind: 'open' }
  | { kind: 'reconnecting' }
  /** It is over for this viewer, and why. */
  | { kind: 'left'; error: ErrorBody };

/** Messages that are kept; the server keeps as many. */
const HISTORY = 100;

/** What a visit keeps for the next one. */
export interface RoomMemory {
  alias: string | null;
  viewerToken: string | null;
}

/** A room as one of its viewers sees it: fed with what the server says. */
export class RoomController implements RoomListener {
  phase = $state.raw<RoomPhase>({ kind: 'connecting' });
  sessions = $state.raw<RoomSession[]>([]);
  viewers = $state(0);
  chat = $state.raw<ChatMessage[]>([]);
  rights = $state.raw<Rights>({ publish: false, administer: false });
  /** Who this viewer is. */
  viewer = $state<string | null>(null);
  alias = $state<string | null>(null);
  /** The session that ended last, when none is left. */
  ended = $state.raw<RoomSession | null>(null);
  /** What the server said to what this viewer wanted. */
  refusal = $state<string | null>(null);
  /** What a screen reader says by itself. */
  announcement = $state('');
  viewerToken: string | null;

  /**
   * @param why finds out why no connection came about; null when it was the network's fault.
   * @param back is called when the server is there again.
   */
  constructor(
    memory: RoomMemory,
    private readonly remember: (memory: RoomMemory) => void,
    private readonly why: () => Promise<ErrorBody | null>,
    private readonly back: () => void = () => {},
  ) {
    this.alias = memory.alias;
    this.viewerToken = memory.viewerToken;
  }

  join(): ViewerMessage {
    return { type: 'join', viewer_token: this.viewerToken, alias: this.alias, watches: true };
  }

  /** Takes another alias; the message that makes it known. */
  rename(alias: string): ViewerMessage {
    this.alias = alias;
    this.keep();
    return { type: 'alias', alias };
  }

  message(message: RoomMessage): void {
    switch (message.type) {
      case 'joined':
        this.joined(message);
        break;
      case 'session':
        this.session(message);
        break;
      case 'session_ended':
        this.sessionEnded(message.id);
        break;
      case 'viewers':
        this.viewers = message.count;
        break;
      case 'chat':
        this.refusal = null;
        this.chat = [...this.chat.filter(({ number }) => number !== message.number), message].slice(-HISTORY);
        if (message.viewer !== this.viewer) this.announcement = `${message.alias}: ${message.text}`;
        break;
      case 'chat_deleted':
        this.chat = this.chat.filter(({ number }) => number !== message.number);
        break;
      case 'refused':
        this.refusal = message.message;
        break;
      case 'error':
        // A full room is told, and not besieged.
        this.phase = message.retryable && message.code !== 'room_full' ? { kind: 'reconnecting' } : { kind: 'left', error: message };
        break;
    }
  }

  async lost(opened: boolean): Promise<boolean> {
    if (this.phase.kind === 'left') return false;
    if (this.phase.kind === 'open') this.phase = { kind: 'reconnecting' };
    const error = opened ? null : await this.why();
    if (error === null || error.retryable) return true;
    this.phase = { kind: 'left', error };
    return false;
  }

  private joined(message: RoomMessage & { type: 'joined' }): void {
    const again = this.phase.kind === 'reconnecting';
    this.viewer = message.viewer;
    this.viewerToken = message.viewer_token;
    this.rights = message.rights;
    this.sessions = message.room.sessions;
    this.viewers = message.room.viewers;
    this.chat = message.chat;
    this.phase = { kind: 'open' };
    this.keep();
    if (again) this.back();
  }

  private session(session: RoomSession): void {
    const known = this.sessions.findIndex(({ id }) => id === session.id);
    if (known < 0) {
      this.ended = null;
      this.sessions = [...this.sessions, session];
      this.announcement = `${session.name} is live.`;
      return;
    }
    const before = this.sessions[known];
    this.sessions = this.sessions.map((one) => (one.id === session.id ? session : one));
    if (before?.status !== session.status) {
      this.announcement = session.status === 'active' ? `${session.name} is back.` : `${session.name} is reconnecting.`;
    }
  }

  private sessionEnded(id: string): void {
    const session = this.sessions.find((one) => one.id === id);
    if (!session) return;
    this.sessions = this.sessions.filter((one) => one !== session);
    if (this.sessions.length === 0) this.ended = session;
    this.announcement = `${session.name} has ended.`;
  }

  private keep(): void {
    this.remember({ alias: this.alias, viewerToken: this.viewerToken });
  }
}
