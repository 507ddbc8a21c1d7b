import type { PeerFailure } from './sdp_resource';

/** The ways in which a picture comes. */
export type Transport = 'webrtc' | 'hls';

/** What a source counts, from its beginning; null for what it cannot tell. */
export interface Reading {
  /** When, in ms of a steady clock. */
  at: number;
  /** Media that has arrived. */
  bytes: number;
  frames: number;
  packetsLost: number | null;
  packetsReceived: number | null;
  jitterMs: number | null;
  /** From the server to the screen. */
  delayMs: number | null;
  /** 0 to 1. */
  audioLevel: number | null;
  /** WebRTC goes over TCP, as something on the way takes no UDP. */
  overTcp?: boolean;
}

export interface SourceListener {
  connected(): void;
  failed(failure: PeerFailure): void;
}

/** One attempt to bring a session's picture and sound into a video element. It fails at most once, and is not used again. */
export interface Source {
  readonly transport: Transport;
  read(): Promise<Reading>;
  close(): void;
}
