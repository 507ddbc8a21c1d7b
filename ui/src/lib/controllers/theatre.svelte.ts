import type { RoomSession, SessionId } from '../protocol/types';
import type { Transport } from '../server/source';
import { Player, type OpenSource } from './player.svelte';
import { TransportChoice } from './transport_choice';

/** As many sessions HLS can bring with little delay at once: see `HlsWish`. */
const LOW_LATENCY_SESSIONS = 2;

/** The players of a room, one for each session. */
export class Theatre {
  /** Everybody begins without sound: browsers allow none before somebody has done something. */
  muted = $state(true);
  private readonly players = new Map<SessionId, Player>();

  constructor(
    private readonly open: (session: SessionId) => OpenSource,
    private readonly webrtc: boolean,
    /** Whoever has asked for HLS gets that, and nothing in its stead. */
    private readonly preferred: Transport = 'webrtc',
  ) {}

  /** Whether HLS can bring what it is asked for with little delay. */
  get lowLatency(): boolean {
    return this.players.size <= LOW_LATENCY_SESSIONS;
  }

  player(session: SessionId): Player {
    let player = this.players.get(session);
    if (!player) {
      player = new Player(this.open(session), new TransportChoice(this.webrtc && this.preferred !== 'hls'));
      player.muted = this.muted;
      this.players.set(session, player);
    }
    return player;
  }

  /** The sessions that are there now. */
  follow(sessions: RoomSession[]): void {
    const there = new Set(sessions.map(({ id }) => id));
    for (const id of this.players.keys()) if (!there.has(id)) this.players.delete(id);
    for (const { id, status, video, audio } of sessions) {
      const comes = status === 'active' && (video?.connected || audio?.connected) === true;
      this.player(id).expect(comes, video !== null);
    }
  }

  async tick(): Promise<void> {
    await Promise.all([...this.players.values()].map((player) => player.tick()));
    // A browser may have refused the sound that somebody asked for, and somebody may have muted them one by one.
    if (this.players.size > 0) this.muted = [...this.players.values()].every(({ muted }) => muted);
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    for (const player of this.players.values()) player.setMuted(muted);
  }

  /** The page goes away: the server need not wait until it misses somebody. */
  close(): void {
    for (const player of this.players.values()) player.close();
  }

  serverIsBack(): void {
    for (const player of this.players.values()) player.serverIsBack();
  }
}
