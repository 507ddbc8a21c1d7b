import type { PeerFailure } from '../server/sdp_resource';
import { ServerError } from '../server/server';
import type { Transport } from '../server/source';
import { Backoff } from './backoff';

/** What to try, and after how many ms. */
export interface Attempt {
  transport: Transport;
  afterMs: number;
}

/** Failures of WebRTC in a row, once it has worked, after which HLS gets a chance. */
const PATIENCE = 4;

/** The browser's offer is not one that the server can answer, such as one without H.264; the next will be like it. */
function isImpossible(failure: PeerFailure): boolean {
  return failure.kind === 'refused' && failure.error instanceof ServerError && failure.error.body.code === 'bad_request';
}

/**
 * Which transport to try next. WebRTC first, for it shows the present; HLS when WebRTC does not come through, for it is plain HTTP.
 * What has worked once is tried several times before the other.
 */
export class TransportChoice {
  private readonly backoff = new Backoff();
  private current: Transport;
  private webrtcWorked = false;
  private inARow = 0;

  /** @param webrtc whether WebRTC is possible, and wanted at all. */
  constructor(private webrtc: boolean) {
    this.current = webrtc ? 'webrtc' : 'hls';
  }

  /** Whether WebRTC is possible, as far as is known, and wanted. */
  get mayBeWebrtc(): boolean {
    return this.webrtc;
  }

  first(): Attempt {
    return { transport: this.current, afterMs: 0 };
  }

  played(): void {
    this.backoff.reset();
    this.inARow = 0;
    if (this.current === 'webrtc') this.webrtcWorked = true;
  }

  failed(failure: PeerFailure): Attempt {
    this.inARow += 1;
    if (this.current === 'hls') {
      // WebRTC may have come within reach, by another network for instance.
      if (this.webrtc && this.inARow % 2 === 0) this.current = 'webrtc';
      return { transport: this.current, afterMs: this.backoff.next() };
    }
    if (isImpossible(failure)) return this.cannot();
    if (failure.kind === 'unreachable' && !this.webrtcWorked) {
      this.current = 'hls';
      return { transport: 'hls', afterMs: 0 };
    }
    if (this.inARow % PATIENCE === 0) this.current = 'hls';
    return { transport: this.current, afterMs: this.backoff.next() };
  }

  /** This browser cannot show it by WebRTC, however often it tries. */
  cannot(): Attempt {
    this.webrtc = false;
    this.current = 'hls';
    return { transport: 'hls', afterMs: 0 };
  }

  /** A person wants this one. */
  prefer(transport: Transport): Attempt {
    if (transport === 'hls' || this.webrtc) this.current = transport;
    this.backoff.reset();
    this.inARow = 0;
    return this.first();
  }
}
