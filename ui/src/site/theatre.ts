import type { OpenSource } from '../lib/controllers/player.svelte';
import { Theatre } from '../lib/controllers/theatre.svelte';
import type { SessionId } from '../lib/protocol/types';
import { HlsSource } from '../lib/server/hls';
import type { Server } from '../lib/server/server';
import type { Transport } from '../lib/server/source';
import { hasWebrtc, WhepSource } from '../lib/server/whep';

/** The players of a browser: WHEP and HLS from `server`. */
export function browserTheatre(server: Server, preferred: Transport): Theatre {
  const open =
    (session: SessionId): OpenSource =>
    (transport, video, listener, fromS) => {
      if (transport === 'webrtc') return new WhepSource(server, session, video, listener);
      const { lowLatency } = theatre;
      return new HlsSource(server, session, video, listener, { lowLatency, ...(fromS !== null && { from: fromS }) });
    };
  const theatre = new Theatre(open, hasWebrtc(), preferred);
  return theatre;
}
