import type { Arrival, Track, TrackPhase } from '../types';
import { seeded } from './random';

/** What happens to what a track makes. */
export interface Link {
  /** Whether the server is reached. */
  up: boolean;
  /** What this track may send, in bit/s. */
  capacityBps: number;
}

const CONNECTING_MS = 900;
/** What is always under way, and no backlog to speak of. */
const IN_FLIGHT_MS = 220;

/** One track as it would come to be: units are made, sent while the link is up, and kept while it is not. */
export class SimulatedTrack {
  private madeMs = 0;
  private durableMs = 0;
  private connectedMs = 0;
  private everConnected = false;
  private up = false;
  private ended = false;
  private wobble = 1;
  private readonly random: () => number;

  constructor(
    seed: number,
    private readonly unitsPerSecond: number,
    private wantedBps: number,
    private readonly encoderLoad: number,
    private refusal: TrackPhase | null = null,
    private readonly clock: Track['clock'] = null,
  ) {
    this.random = seeded(seed);
  }

  want(bps: number): void {
    this.wantedBps = bps;
  }

  refuse(refusal: TrackPhase | null): void {
    this.refusal = refusal;
  }

  end(): void {
    this.ended = true;
  }

  giveUp(): void {
    this.end();
    this.refusal = { kind: 'incomplete' };
  }

  get done(): boolean {
    return this.ended && this.durableMs >= this.madeMs;
  }

  advance(ms: number, delivers: boolean, link: Link): void {
    // A second's memory: bit rates wander, they do not jump.
    this.wobble += (0.9 + 0.2 * this.random() - this.wobble) * Math.min(1, ms / 1000);
    if (delivers && !this.ended) this.madeMs += ms;
    this.up = link.up && this.refusal === null;
    if (!this.up) return;
    this.connectedMs += ms;
    if (this.connectedMs < CONNECTING_MS && !this.everConnected) return;
    this.everConnected = true;
    const sentMs = (ms * link.capacityBps) / this.wantedBps;
    const rest = this.ended ? 0 : IN_FLIGHT_MS;
    this.durableMs = Math.max(this.durableMs, Math.min(this.madeMs - rest, this.durableMs + sentMs));
  }

  view(): Track {
    const arrival = this.arrival();
    return {
      phase: this.phase(),
      arrival,
      bitrate_bps: this.ended || this.madeMs === 0 ? 0 : Math.round(this.wantedBps * this.wobble),
      wanted_bitrate_bps: this.wantedBps,
      full_bitrate_bps: this.wantedBps,
      is_paused: false,
      units_per_second: this.ended || this.madeMs === 0 ? 0 : this.unitsPerSecond - (this.wobble > 1.03 ? 0.1 : 0),
      dropped: 0,
      encoder_load: this.ended ? 0 : this.encoderLoad * this.wobble,
      round_trip_ms: this.everConnected ? Math.round(21 * this.wobble) : null,
      clock: this.clock,
    };
  }

  private arrival(): Arrival {
    const units = Math.floor((this.madeMs * this.unitsPerSecond) / 1000);
    const durable = this.done ? units : Math.floor((this.durableMs * this.unitsPerSecond) / 1000);
    const backlogMs = this.madeMs - this.durableMs;
    return {
      units,
      durable_units: durable,
      lost_units: 0,
      backlog_units: units - durable,
      backlog_bytes: Math.round((backlogMs * this.wantedBps) / 8000),
      backlog_ms: Math.round(backlogMs),
    };
  }

  private phase(): TrackPhase {
    if (this.done) return { kind: 'complete' };
    if (this.refusal) return this.refusal;
    if (this.madeMs === 0) return { kind: 'waiting' };
    if (!this.up) {
      if (!this.everConnected) return { kind: 'connecting' };
      return { kind: 'offline', reason: 'The server cannot be reached.' };
    }
    if (!this.everConnected) return { kind: 'connecting' };
    return this.madeMs - this.durableMs > 1000 ? { kind: 'catching_up' } : { kind: 'live' };
  }
}
