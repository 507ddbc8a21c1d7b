import type HlsPlayer from 'hls.js';
import type { PlaylistLoaderConstructor } from 'hls.js';

import type { SessionId } from '../protocol/types';
import { PATIENCE } from './hls_patience';
import type { Server } from './server';
import type { Reading, Source, SourceListener } from './source';

export interface HlsWish {
  /** One track alone; else all that the session has. */
  track?: 'video';
  /** Begin at this time of the session, in s, and not at the live edge. */
  from?: number;
  /**
   * As close to the live edge as parts allow. It keeps a request waiting for each track, of which a browser has six for a server
   * that speaks HTTP/1.1: no more than two sessions at once.
   */
  lowLatency?: boolean;
}

/** A playlist loader whose requests are answered at once and not when there is something new. */
function askingNow(Hls: typeof HlsPlayer): PlaylistLoaderConstructor {
  class AskingNow extends Hls.DefaultConfig.loader {
    override load(...[context, config, callbacks]: Parameters<InstanceType<typeof Hls.DefaultConfig.loader>['load']>): void {
      const { onSuccess } = callbacks;
      callbacks.onSuccess = (response, ...more) => {
        if (typeof response.data === 'string') response.data = response.data.replace(/CAN-BLOCK-RELOAD=YES,?/, '');
        onSuccess(response, ...more);
      };
      super.load(context, config, callbacks);
    }
  }
  return AskingNow as unknown as PlaylistLoaderConstructor;
}

/** Until the first segment is there: of a session that has just begun it comes after some seconds, and a slow phone takes its time. */
const OPEN_MS = 30_000;

/** A session over HLS: by hls.js where the browser has media source extensions, natively where it plays playlists itself (iOS). */
export class HlsSource implements Source {
  readonly transport = 'hls';
  private hls: HlsPlayer | null = null;
  private ended = false;
  private bytes = 0;
  private readonly timer: ReturnType<typeof setTimeout>;
  private readonly native = { loadeddata: () => this.connected(), error: () => this.fail() };

  constructor(
    private readonly server: Server,
    private readonly session: SessionId,
    private readonly video: HTMLVideoElement,
    private readonly listener: SourceListener,
    private readonly wish: HlsWish = {},
  ) {
    this.timer = setTimeout(() => this.fail(), OPEN_MS);
    video.addEventListener('loadeddata', this.native.loadeddata);
    void this.open();
  }

  /** How far behind the live edge the picture is, in s; null when that cannot be told, or nothing is live. */
  get behindS(): number | null {
    const edge = this.liveEdgeS;
    return edge === null ? null : Math.max(0, edge - this.video.currentTime);
  }

  /** The newest time that can be played, in s. */
  get liveEdgeS(): number | null {
    const { seekable } = this.video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
  }

  async read(): Promise<Reading> {
    const frames = this.video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    // Where nobody counts bytes, time that passes shows that something comes.
    const bytes = this.hls ? this.bytes : Math.round(this.video.currentTime * 1000);
    const latency = this.hls?.latency ?? 0;
    return {
      at: performance.now(),
      bytes,
      frames,
      packetsLost: null,
      packetsReceived: null,
      jitterMs: null,
      delayMs: latency > 0 ? latency * 1000 : null,
      audioLevel: null,
    };
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.timer);
    this.video.removeEventListener('loadeddata', this.native.loadeddata);
    this.video.removeEventListener('error', this.native.error);
    if (this.hls) this.hls.destroy();
    else this.video.removeAttribute('src');
  }

  private async open(): Promise<void> {
    const address = this.server.playlist(this.session, this.wish.track ?? null);
    const { default: Hls } = await import('hls.js');
    if (this.ended) return;
    if (!Hls.isSupported()) {
      this.video.addEventListener('error', this.native.error);
      this.video.src = this.server.withQuery(address);
      return;
    }
    const lowLatency = this.wish.lowLatency ?? true;
    const hls = new Hls({
      lowLatencyMode: lowLatency,
      ...(lowLatency ? {} : { pLoader: askingNow(Hls), liveSyncDurationCount: 2 }),
      ...PATIENCE,
      startPosition: this.wish.from ?? -1,
      backBufferLength: 30,
      // A little faster when it has fallen behind, where nobody hears it.
      maxLiveSyncPlaybackRate: lowLatency ? 1.2 : 1,
      // The policy allows no workers made of blobs; unpacking MP4 is little work.
      enableWorker: false,
      xhrSetup: (request) => {
        for (const [name, value] of Object.entries(this.server.headers())) request.setRequestHeader(name, value);
      },
    });
    this.hls = hls;
    hls.on(Hls.Events.FRAG_LOADED, (_, { frag, part }) => (this.bytes += (part ?? frag).stats.loaded));
    hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return;
      // What a decoder stumbles over once, it mostly gets past with a new start.
      if (type === Hls.ErrorTypes.MEDIA_ERROR && !this.recovered) {
        this.recovered = true;
        hls.recoverMediaError();
      } else this.fail();
    });
    hls.loadSource(address);
    hls.attachMedia(this.video);
  }

  private recovered = false;

  private connected(): void {
    clearTimeout(this.timer);
    if (!this.ended) this.listener.connected();
  }

  private fail(): void {
    if (this.ended) return;
    this.close();
    this.listener.failed({ kind: 'lost' });
  }
}
