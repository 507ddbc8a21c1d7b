import type { ErrorBody, Room, Session, SessionId } from '../protocol/types';
import { ServerError, type Server } from '../server/server';

/** The wall: what is live, most watched first; and the library, newest first, page by page. */
export class Listing {
  rooms = $state.raw<Room[]>([]);
  library = $state.raw<Session[]>([]);
  /** The first answer is there. */
  ready = $state(false);
  /** Why nothing is shown; it may pass. */
  error = $state.raw<ErrorBody | null>(null);
  /** There are older recordings. */
  more = $state(false);
  loading = $state(false);

  private next: SessionId | null = null;

  constructor(private readonly server: Pick<Server, 'rooms' | 'sessions'>) {}

  /** To be called every few seconds. */
  async refresh(): Promise<void> {
    try {
      const [{ rooms }, page] = await Promise.all([this.server.rooms(), this.server.sessions()]);
      this.rooms = rooms.filter(({ sessions }) => sessions.length > 0).sort(mostWatched);
      this.mergeNewest(page.sessions, page.next_before);
      this.error = null;
      this.ready = true;
    } catch (error) {
      this.error = bodyOf(error);
    }
  }

  /** Older recordings. */
  async loadMore(): Promise<void> {
    if (this.next === null || this.loading) return;
    this.loading = true;
    try {
      const page = await this.server.sessions(this.next);
      this.library = [...this.library, ...page.sessions];
      this.next = page.next_before;
      this.more = this.next !== null;
    } catch (error) {
      this.error = bodyOf(error);
    } finally {
      this.loading = false;
    }
  }

  /** The newest page may have changed; what was loaded beyond it stays. */
  private mergeNewest(newest: Session[], next: SessionId | null): void {
    const ids = new Set(newest.map(({ id }) => id));
    const oldest = newest.at(-1)?.id;
    const beyond = oldest === undefined ? [] : this.library.filter(({ id }) => !ids.has(id) && id < oldest);
    this.library = [...newest, ...beyond];
    if (beyond.length === 0) this.next = next;
    this.more = this.next !== null;
  }
}

function mostWatched(one: Room, other: Room): number {
  return other.viewers - one.viewers || one.name.localeCompare(other.name);
}

/** What a failed request says. */
export function bodyOf(error: unknown): ErrorBody {
  if (error instanceof ServerError) return error.body;
  return { code: 'internal', message: error instanceof Error ? error.message : 'Something failed.', retryable: true };
}
