import { SdpResource } from './sdp_resource';
import type { Server } from './server';
import type { SourceListener } from './source';

/** What a browser that publishes aims at; WebRTC goes lower by itself when the network does not carry it. */
const VIDEO_BPS = 2_500_000;

/** What this browser needs to publish and has not; null when it has everything. */
export function missingForPublishing(): 'secure-page' | 'webrtc' | 'h264' | null {
  // Browsers hide devices from pages that somebody on the way could have changed.
  if (!navigator.mediaDevices?.getUserMedia) return window.isSecureContext ? 'webrtc' : 'secure-page';
  if (typeof RTCPeerConnection !== 'function') return 'webrtc';
  return h264Codecs().length === 0 ? 'h264' : null;
}

/** Camera and microphone on their way to a room (WHIP, RFC 9725). */
export class WhipPublication {
  private readonly resource: SdpResource;
  private readonly senders: Record<'video' | 'audio', RTCRtpSender>;

  constructor(server: Server, { room, name, session }: Address, tracks: Tracks, listener: SourceListener) {
    const peer = new RTCPeerConnection();
    this.resource = new SdpResource(peer, server, listener, true);
    const video = peer.addTransceiver(tracks.video ?? 'video', {
      direction: 'sendonly',
      sendEncodings: [{ maxBitrate: VIDEO_BPS }],
    });
    const audio = peer.addTransceiver(tracks.audio ?? 'audio', { direction: 'sendonly' });
    // The server never transcodes, and H.264 is what every player plays.
    video.setCodecPreferences?.(h264Codecs());
    this.senders = { video: video.sender, audio: audio.sender };
    void this.resource.open((offer) => server.whip(room, name, session, offer));
  }

  /** Another device from now on; null for none. */
  async replace(kind: 'video' | 'audio', track: MediaStreamTrack | null): Promise<void> {
    await this.senders[kind].replaceTrack(track);
  }

  close(): void {
    this.resource.close();
  }
}

/** Where to, and under which name; an empty one leaves it to the server. */
export interface Address {
  room: string;
  name: string;
  /** What {@link drawSession} has drawn; the same again goes on with the same session. */
  session: string;
}

/** A session's id (UUIDv7) and the key that proves whose it is. */
export function drawSession(unixMs: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  new DataView(bytes.buffer).setBigUint64(0, (BigInt(unixMs) << 16n) | 0x7000n | BigInt(bytes[6]! & 0x0f) << 8n | BigInt(bytes[7]!));
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
  return `${id} ${hex.slice(32)}`;
}

/** The tracks to send; null where there is no device. */
export interface Tracks {
  video: MediaStreamTrack | null;
  audio: MediaStreamTrack | null;
}

/** H.264 in the packetisation that everybody speaks (RFC 6184 §6.3), and what repairs its losses. */
function h264Codecs(): RTCRtpCodec[] {
  const codecs = RTCRtpSender.getCapabilities?.('video')?.codecs ?? [];
  const h264 = codecs.filter(({ mimeType, sdpFmtpLine }) => {
    return mimeType.toLowerCase() === 'video/h264' && /packetization-mode=1/.test(sdpFmtpLine ?? '');
  });
  if (h264.length === 0) return [];
  return [...h264, ...codecs.filter(({ mimeType }) => mimeType.toLowerCase() === 'video/rtx')];
}
