import type { PeerFailure } from '../server/sdp_resource';
import { ServerError } from '../server/server';
import type { Reading, Source, SourceListener, Transport } from '../server/source';
import { quality, type Quality } from './quality';
import type { Attempt, TransportChoice } from './transport_choice';

/** Opens a source; `fromS` is a time of the session to begin at, in s, and not the present. */
export type OpenSource = (
  transport: Transport,
  video: HTMLVideoElement,
  listener: SourceListener,
  fromS: number | null,
) => Source & { readonly liveEdgeS?: number | null };

/** A picture that stands still for so long is not called live. */
const STANDS_MS = 2_000;
/**
 * Nothing has come for so long: the connection is dead, whatever it says of itself. HLS asks again by itself for what did not come, and
 * keeps what it has; beginning anew would throw that away.
 */
const STALLED_MS: Record<Transport, number> = { webrtc: 6_000, hls: 20_000 };
/** What comes by WebRTC for so long without becoming a picture never will: a browser may say that it has H.264, and have no decoder. */
const BLIND_MS = 8_000;
/** The connection is judged by what came in about so long. */
const JUDGED_MS = 4_000;
/** Somebody speaks (−40 dBFS), and goes on speaking between two words. */
const SPEECH_LEVEL = 0.01;
const SPEECH_HOLD_MS = 1_200;
/** HLS is live as long as it is not further behind than this, in s. */
const LIVE_WITHIN_S = 8;

/** Plays one session into one video element, and keeps at it until it is let go. */
export class Player {
  transport = $state<Transport>('webrtc');
  /** WebRTC goes over TCP. */
  overTcp = $state(false);
  phase = $state<'connecting' | 'playing' | 'reconnecting'>('connecting');
  muted = $state(true);
  paused = $state(false);
  /** Seconds behind the present, when somebody went back or paused; null while it is live. */
  behindS = $state<number | null>(null);
  delayMs = $state<number | null>(null);
  quality = $state.raw<Quality | null>(null);
  speaking = $state(false);
  /** Nothing comes that should: the picture stands still. */
  stands = $state(false);
  /** What the server said when it refused. */
  refusal = $state<string | null>(null);

  private video: HTMLVideoElement | null = null;
  private source: ReturnType<OpenSource> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readings: Reading[] = [];
  private arrivedAt = 0;
  /** Since when this connection stands; null before. */
  private connectedAt: number | null = null;
  /** The video element has said that it plays. */
  private runs = false;
  /** The session has a picture. */
  private hasPicture = true;
  private spokenAt = -Infinity;
  private expected = true;
  /** Somebody went back: only HLS holds the past. */
  private rewound = false;
  /** Where to go once HLS has opened, in s from the live edge. */
  private offsetS: number | null = null;

  constructor(
    private readonly open: OpenSource,
    private readonly choice: TransportChoice,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether WebRTC is a choice at all. */
  get mayBeWebrtc(): boolean {
    return this.choice.mayBeWebrtc;
  }

  /** Begins to play; gives what ends it. */
  attach(video: HTMLVideoElement): () => void {
    this.video = video;
    const playing = () => {
      this.runs = true;
      this.begin();
    };
    video.addEventListener('playing', playing);
    this.attempt(this.choice.first());
    return () => {
      video.removeEventListener('playing', playing);
      this.close();
    };
  }

  /** Ends it: nothing is opened any more. */
  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.video = null;
  }

  /** Whether media should be coming: the publisher is connected. And whether there is a picture among it. */
  expect(expected: boolean, hasPicture: boolean): void {
    if (expected && !this.expected) this.arrivedAt = this.now();
    this.expected = expected;
    this.hasPicture = hasPicture;
  }

  /** The server was away: whatever does not play is tried at once. */
  serverIsBack(): void {
    if (this.phase !== 'playing') this.attempt(this.choice.first());
  }

  /** To be called about once a second. */
  async tick(): Promise<void> {
    const { source, video } = this;
    if (!source || !video) return;
    const reading = await source.read().catch(() => null);
    if (reading === null || source !== this.source) return;
    const last = this.readings.at(-1);
    if (!last || reading.bytes > last.bytes || reading.frames > last.frames) this.arrivedAt = this.now();
    this.readings = [...this.readings.filter(({ at }) => reading.at - at <= JUDGED_MS), reading];
    const [first] = this.readings;
    if (first && first !== reading) this.quality = quality(first, reading);
    this.delayMs = reading.delayMs;
    this.overTcp = reading.overTcp ?? false;
    if ((reading.audioLevel ?? 0) > SPEECH_LEVEL) this.spokenAt = this.now();
    this.speaking = this.now() - this.spokenAt < SPEECH_HOLD_MS;
    this.behindS = this.behind();
    this.stands = this.expected && !this.paused && this.now() - this.arrivedAt > STANDS_MS;
    const waits = this.expected && !this.paused && this.phase === 'playing';
    if (waits && this.hasPicture && this.isBlind(reading)) return this.attempt(this.choice.cannot());
    if (waits && this.now() - this.arrivedAt > STALLED_MS[this.transport]) this.failed({ kind: 'lost' });
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    // Sound without a person's doing is refused; the picture must not stop for it.
    if (this.video) {
      this.video.muted = muted;
      void this.play();
    }
  }

  togglePause(): void {
    if (this.paused) {
      this.paused = false;
      void this.play();
    } else {
      this.paused = true;
      this.video?.pause();
      this.behindS = this.behind() ?? 0;
    }
  }

  /** Goes back or forward in time. What is past comes by HLS. */
  seekBy(seconds: number): void {
    if (this.transport === 'hls' && this.source) {
      if (this.video) this.video.currentTime = Math.max(0, this.video.currentTime + seconds);
      this.rewound ||= seconds < 0;
    } else if (seconds < 0) {
      this.rewound = true;
      this.offsetS = seconds;
      this.paused = false;
      this.start('hls', null);
    }
  }

  toLive(): void {
    this.paused = false;
    if (this.rewound || this.transport === 'webrtc') {
      this.rewound = false;
      // WebRTC knows only the present: playing on is enough.
      if (this.transport === 'webrtc') void this.play();
      else this.attempt(this.choice.first());
    } else {
      const edge = this.source?.liveEdgeS;
      if (this.video && edge != null) this.video.currentTime = Math.max(0, edge - 1);
      void this.play();
    }
    this.behindS = null;
  }

  prefer(transport: Transport): void {
    this.rewound = false;
    this.attempt(this.choice.prefer(transport));
  }

  private behind(): number | null {
    const { video, source } = this;
    if (this.transport === 'webrtc') return this.paused ? (this.behindS ?? 0) : null;
    const edge = source?.liveEdgeS;
    if (!video || edge == null) return null;
    const behind = edge - video.currentTime;
    return this.paused || behind > LIVE_WITHIN_S ? Math.max(0, behind) : null;
  }

  private attempt({ transport, afterMs }: Attempt): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    if (afterMs === 0) this.start(transport, null);
    else this.timer = setTimeout(() => this.start(transport, null), afterMs);
  }

  private start(transport: Transport, fromS: number | null): void {
    const { video } = this;
    if (!video) return;
    clearTimeout(this.timer);
    this.source?.close();
    this.transport = transport;
    this.readings = [];
    this.quality = null;
    this.delayMs = null;
    this.overTcp = false;
    this.stands = false;
    this.connectedAt = null;
    this.runs = false;
    video.muted = this.muted;
    const source = this.open(
      transport,
      video,
      {
        connected: () => {
          if (this.source === source) this.connected();
        },
        failed: (failure) => {
          if (this.source === source) this.failed(failure);
        },
      },
      fromS,
    );
    this.source = source;
    if (!this.paused) void this.play();
  }

  /** Bytes come, and no picture is ever made of them. */
  private isBlind({ bytes, frames }: Reading): boolean {
    const long = this.connectedAt !== null && this.now() - this.connectedAt > BLIND_MS;
    return this.transport === 'webrtc' && long && bytes > 0 && frames === 0;
  }

  private connected(): void {
    this.arrivedAt = this.now();
    this.connectedAt ??= this.arrivedAt;
    this.refusal = null;
    const edge = this.source?.liveEdgeS;
    if (this.offsetS !== null && this.video && edge != null) {
      this.video.currentTime = Math.max(0, edge + this.offsetS);
      this.offsetS = null;
    }
    if (!this.paused) void this.play();
    this.begin();
  }

  /** Firefox says of a stream at once that it plays, before anything is connected. */
  private begin(): void {
    if (!this.runs || this.connectedAt === null) return;
    this.arrivedAt = this.now();
    this.phase = 'playing';
    if (!this.rewound) this.choice.played();
  }

  private failed(failure: PeerFailure): void {
    this.phase = this.phase === 'connecting' ? 'connecting' : 'reconnecting';
    this.speaking = false;
    const { error } = failure as { error?: unknown };
    this.refusal = error instanceof ServerError && !error.body.retryable ? error.message : null;
    // What was being looked at is what comes back.
    if (this.rewound) {
      const at = this.video?.currentTime ?? 0;
      this.source?.close();
      this.source = null;
      this.timer = setTimeout(() => this.start('hls', at), this.choice.failed(failure).afterMs);
    } else this.attempt(this.choice.failed(failure));
  }

  private async play(): Promise<void> {
    try {
      await this.video?.play();
    } catch (error) {
      // Another source came in between, or nothing is there yet: it plays once it is. Sound may be refused: then without.
      const refused = error instanceof DOMException && error.name === 'NotAllowedError';
      if (!this.video || this.muted || !refused) return;
      this.muted = true;
      this.video.muted = true;
      await this.video.play().catch(() => {});
    }
  }
}
