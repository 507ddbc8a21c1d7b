import type { Platform } from '../platform/platform';
import { toProblem } from '../platform/problem';
import type { Problem, RoomView, State } from '../platform/types';
import type { ChatMessage, RoomSession } from '../protocol/types';

/** The visit to the room: what the platform tells of it, what has not been read, and whether somebody looks. */
export class RoomVisit {
  view = $state.raw<RoomView | null>(null);
  /** Messages of others that came while nobody looked. */
  unread = $state(0);
  /** Why the room cannot be visited at all. */
  problem = $state.raw<Problem | null>(null);

  private looks = false;
  /** When the newest message was said that is no news any more; null before the first ones are known. */
  private readUnixMs: number | null = null;

  /** @param announce says something to those who listen to the screen. */
  constructor(
    private readonly platform: Platform,
    private readonly announce: (text: string) => void,
  ) {}

  take(view: RoomView | null): void {
    this.view = view;
    if (view === null) {
      this.readUnixMs = null;
      this.unread = 0;
    } else if (view.phase.kind === 'open') this.read(view);
  }

  /** Somebody looks at the room. What cannot be is kept in `problem`. */
  async open(): Promise<void> {
    this.looks = true;
    this.problem = null;
    if (this.view !== null) this.read(this.view);
    try {
      await this.platform.openRoom();
    } catch (error) {
      this.problem = toProblem(error);
    }
  }

  /** Nobody looks any more. */
  close(): void {
    this.looks = false;
    void this.platform.closeRoom().catch(() => {});
  }

  /** Says something; whether it went out. */
  async say(text: string): Promise<boolean> {
    try {
      await this.platform.say(text);
      return true;
    } catch {
      return false;
    }
  }

  private read({ chat, viewer }: RoomView): void {
    const newest = chat.reduce((newest, { at_unix_ms }) => Math.max(newest, at_unix_ms), this.readUnixMs ?? 0);
    const isNews = (message: ChatMessage) => message.viewer !== viewer && message.at_unix_ms > (this.readUnixMs ?? newest);
    const news = chat.filter(isNews);
    if (this.looks) {
      const last = news.at(-1);
      if (last) this.announce(`${last.alias}: ${last.text}`);
      this.unread = 0;
    } else this.unread = news.length;
    if (this.looks || this.readUnixMs === null) this.readUnixMs = newest;
  }
}

/** The sessions of others: neither the one that runs here, nor those that an earlier run has left and that are sent by and by. */
export function sessionsOfOthers(view: RoomView, { session, unfinished }: State): RoomSession[] {
  const own = new Set([session?.id, ...unfinished.map(({ id }) => id)]);
  return view.sessions.filter(({ id }) => !own.has(id));
}
