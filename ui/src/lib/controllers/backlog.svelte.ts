import type { Session } from '../platform/types';
import type { TrackName } from '../words/track';

/** How far back the history goes. */
export const HISTORY_MS = 60_000;
/** One point stands for so long; the largest backlog in that time counts. */
const POINT_MS = 500;

/** The backlog at one moment. */
export interface BacklogPoint {
  /** Since the session's start; after its end time goes on. */
  atMs: number;
  bytes: number;
}

/** What each track kept on this device during the last minute. */
export class BacklogHistory {
  video = $state.raw<BacklogPoint[]>([]);
  audio = $state.raw<BacklogPoint[]>([]);

  private sessionId: string | null = null;
  private stoppedAt: number | null = null;

  /** Takes what the platform tells at `now`, in ms of a steady clock. */
  take(session: Session | null, now: number): void {
    if (session === null || session.id !== this.sessionId) {
      this.video = [];
      this.audio = [];
      this.sessionId = session?.id ?? null;
      this.stoppedAt = null;
    }
    if (session === null) return;
    if (session.phase.kind === 'running') this.stoppedAt = null;
    else this.stoppedAt ??= now;
    const atMs = session.elapsed_ms + (this.stoppedAt === null ? 0 : now - this.stoppedAt);
    for (const name of ['video', 'audio'] as const) {
      const track = session[name];
      if (track) this.add(name, { atMs, bytes: track.arrival.backlog_bytes });
    }
  }

  private add(name: TrackName, point: BacklogPoint): void {
    const points = this[name];
    const last = points.at(-1);
    if (last && Math.floor(last.atMs / POINT_MS) === Math.floor(point.atMs / POINT_MS)) {
      if (point.bytes > last.bytes) this[name] = [...points.slice(0, -1), { ...last, bytes: point.bytes }];
      return;
    }
    const oldest = point.atMs - HISTORY_MS;
    this[name] = [...points.filter((one) => one.atMs >= oldest), point];
  }
}
