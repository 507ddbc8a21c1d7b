import type { SessionId } from '../protocol/types';
import { SdpResource } from './sdp_resource';
import type { Server } from './server';
import type { Reading, Source, SourceListener } from './source';

/** Whether this browser has WebRTC at all: WebKitGTK has not. */
export function hasWebrtc(): boolean {
  return typeof RTCPeerConnection === 'function';
}

/** A session over WebRTC (WHEP, draft-ietf-wish-whep). */
export class WhepSource implements Source {
  readonly transport = 'webrtc';
  private readonly resource: SdpResource;
  private readonly stream = new MediaStream();

  constructor(
    server: Server,
    session: SessionId,
    private readonly video: HTMLVideoElement,
    listener: SourceListener,
  ) {
    const peer = new RTCPeerConnection();
    this.resource = new SdpResource(peer, server, listener);
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    peer.ontrack = ({ track, receiver }) => {
      this.stream.addTrack(track);
      showAtOnce(receiver);
    };
    video.srcObject = this.stream;
    void this.resource.open((offer) => server.whep(session, offer));
  }

  async read(): Promise<Reading> {
    const reading: Reading = {
      at: performance.now(),
      bytes: 0,
      frames: 0,
      packetsLost: 0,
      packetsReceived: 0,
      jitterMs: null,
      delayMs: null,
      audioLevel: null,
    };
    const stats = await this.resource.peer.getStats();
    stats.forEach((entry: Record<string, unknown>) => {
      if (entry.type === 'inbound-rtp') addTrack(reading, entry);
    });
    const pair = pairInUse(stats);
    if (reading.delayMs !== null) reading.delayMs += (number(pair?.currentRoundTripTime) * 1000) / 2;
    reading.overTcp = stats.get(String(pair?.localCandidateId))?.protocol === 'tcp';
    return reading;
  }

  close(): void {
    this.resource.close();
    if (this.video.srcObject === this.stream) this.video.srcObject = null;
  }
}

/** The smallest buffer that the browser grants: the server sends steadily, and a live picture is worth more than a smooth one. */
function showAtOnce(receiver: RTCRtpReceiver): void {
  const it: { jitterBufferTarget?: number | null; playoutDelayHint?: number } = receiver;
  if ('jitterBufferTarget' in receiver) it.jitterBufferTarget = 0;
  else it.playoutDelayHint = 0;
}

/** The way that the packets take. Not every browser tells of the transport; the others mark the pair. */
function pairInUse(stats: RTCStatsReport): Record<string, unknown> | undefined {
  let pair: Record<string, unknown> | undefined;
  let named: unknown;
  stats.forEach((entry: Record<string, unknown>) => {
    if (entry.type === 'transport') named = entry.selectedCandidatePairId ?? named;
    if (entry.type === 'candidate-pair' && entry.state === 'succeeded' && (entry.selected || !pair)) pair = entry;
  });
  return stats.get(String(named)) ?? pair;
}

function addTrack(reading: Reading, entry: Record<string, unknown>): void {
  reading.bytes += number(entry.bytesReceived);
  reading.packetsLost = (reading.packetsLost ?? 0) + number(entry.packetsLost);
  reading.packetsReceived = (reading.packetsReceived ?? 0) + number(entry.packetsReceived);
  const emitted = number(entry.jitterBufferEmittedCount);
  if (entry.kind === 'video') {
    reading.frames = number(entry.framesDecoded);
    reading.jitterMs = number(entry.jitter) * 1000;
    if (emitted > 0) reading.delayMs = (number(entry.jitterBufferDelay) / emitted) * 1000;
  } else if (typeof entry.audioLevel === 'number') {
    reading.audioLevel = entry.audioLevel;
  }
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
