import type { SdpAnswer, Server } from './server';

/** Why a connection has ended. */
export type PeerFailure =
  /** The server did not take the offer; the error says why. */
  | { kind: 'refused'; error: unknown }
  /** No packet came through: something on the way takes neither UDP nor TCP to that port. */
  | { kind: 'unreachable' }
  /** It worked, and then it did not. */
  | { kind: 'lost' };

export interface PeerListener {
  connected(): void;
  failed(failure: PeerFailure): void;
}

/** How long the way to the server may take to be found. */
const CONNECT_MS = 8_000;
/** A connection that has lost the server may find it again, but not for ever. */
const DISCONNECTED_MS = 4_000;

/**
 * A peer connection whose other end is a server that answers an SDP offer over HTTP: what WHEP and WHIP share.
 *
 * The server's candidates stand in its answer and its agent is a light one (RFC 8445 §2.5), so that the offer goes out at once
 * and no candidate is sent after it.
 */
export class SdpResource {
  private location: string | null = null;
  private ended = false;
  private wasConnected = false;
  /** It has failed, and somebody comes back with another one. */
  private gaveUp = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** @param comesBack after a failure: the server is told goodbye only by {@link close}. */
  constructor(
    readonly peer: RTCPeerConnection,
    private readonly server: Server,
    private readonly listener: PeerListener,
    private readonly comesBack = false,
  ) {
    peer.onconnectionstatechange = () => this.changed();
  }

  async open(post: (offer: string) => Promise<SdpAnswer>): Promise<void> {
    this.timer = setTimeout(() => this.fail({ kind: 'unreachable' }), CONNECT_MS);
    try {
      await this.peer.setLocalDescription(await this.peer.createOffer());
      const answer = await post(this.peer.localDescription?.sdp ?? '');
      this.location = answer.location;
      // Somebody left while the server thought about it.
      if (this.ended) return this.gaveUp ? undefined : this.hangUp();
      await this.peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    } catch (error) {
      this.fail({ kind: 'refused', error });
    }
  }

  close(): void {
    if (this.ended) return;
    // Before the connection is gone: the server waits for this word, and not for long.
    this.hangUp();
    this.end();
  }

  private end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.peer.onconnectionstatechange = null;
    this.peer.close();
  }

  private hangUp(): void {
    if (this.location !== null) this.server.hangUp(this.location);
    this.location = null;
  }

  private changed(): void {
    switch (this.peer.connectionState) {
      case 'connected':
        clearTimeout(this.timer);
        if (!this.wasConnected) this.listener.connected();
        this.wasConnected = true;
        break;
      case 'disconnected':
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.fail({ kind: 'lost' }), DISCONNECTED_MS);
        break;
      case 'failed':
        this.fail(this.wasConnected ? { kind: 'lost' } : { kind: 'unreachable' });
        break;
    }
  }

  private fail(failure: PeerFailure): void {
    if (this.ended) return;
    this.gaveUp = this.comesBack;
    if (this.gaveUp) this.end();
    else this.close();
    this.listener.failed(failure);
  }
}
