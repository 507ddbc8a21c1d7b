import { Player, type OpenSource } from '../lib/controllers/player.svelte';
import { TransportChoice } from '../lib/controllers/transport_choice';
import type { RoomSession, SessionId } from '../lib/protocol/types';
import { HlsSource } from '../lib/server/hls';
import type { Server } from '../lib/server/server';
import type { Transport } from '../lib/server/source';
import { hasWebrtc, WhepSource } from '../lib/server/whep';

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

  /** For a browser: WHEP and HLS from `server`. */
  static from(server: Server, preferred: Transport = 'webrtc'): Theatre {
    const open =
      (session: SessionId): OpenSource =>
      (transport, video, listener, fromS) => {
        if (transport === 'webrtc') return new WhepSource(server, session, video, listener);
        const lowLatency = theatre.players.size <= LOW_LATENCY_SESSIONS;
        return new HlsSource(server, session, video, listener, { lowLatency, ...(fromS !== null && { from: fromS }) });
      };
    const theatre = new Theatre(open, hasWebrtc(), preferred);
    return theatre;
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
