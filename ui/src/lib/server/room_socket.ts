import { Backoff } from '../controllers/backoff';
import type { RoomMessage, ViewerMessage } from '../protocol/types';

/** What a room's socket is to whoever uses it. */
export interface RoomListener {
  /** What to say first on every connection. */
  join(): ViewerMessage;
  message(message: RoomMessage): void;
  /**
   * The connection is gone, or did not come about (`opened` is false). Whether to try again: a refusal that stays
   * ends it.
   */
  lost(opened: boolean): Promise<boolean>;
}

/** A connection to a room that comes back by itself. */
export class RoomSocket {
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  private readonly backoff = new Backoff();

  constructor(
    private readonly connect: () => WebSocket,
    private readonly listener: RoomListener,
  ) {
    this.open();
  }

  /** Whether the message went out. */
  say(message: ViewerMessage): boolean {
    if (this.socket?.readyState !== 1) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private open(): void {
    const socket = this.connect();
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      socket.send(JSON.stringify(this.listener.join()));
    };
    socket.onmessage = ({ data }) => {
      const message = parsed(data);
      if (this.closed || message === null) return;
      if (message.type === 'joined') this.backoff.reset();
      this.listener.message(message);
    };
    socket.onclose = () => void this.wentAway(opened);
  }

  private async wentAway(opened: boolean): Promise<void> {
    if (this.closed || !(await this.listener.lost(opened)) || this.closed) return;
    this.timer = setTimeout(() => this.open(), this.backoff.next());
  }
}

function parsed(text: unknown): RoomMessage | null {
  try {
    return JSON.parse(String(text)) as RoomMessage;
  } catch {
    return null;
  }
}
