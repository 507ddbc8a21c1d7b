import type { Event, Session, TrackState } from '../protocol/types';

/** A stretch of a recording, in ms. */
export interface Stretch {
  fromMs: number;
  toMs: number;
  track: 'video' | 'audio';
  /** It will never come; else it may still. */
  lost: boolean;
}

/** Something that happened during a recording. */
export interface Moment {
  atMs: number;
  track: 'video' | 'audio';
  event: Event;
}

export interface Timeline {
  durationMs: number;
  missing: Stretch[];
  moments: Moment[];
}

const ON_ITS_WAY_MS = 3_000;

/** What a recording's timeline shows, in the order of time. */
export function timeline(session: Session): Timeline {
  const tracks = [session.video && (['video', session.video] as const), session.audio && (['audio', session.audio] as const)];
  const there = tracks.filter((track) => track !== null);
  const lengths = there.map(([, track]) => track.units * unitMs(track));
  const missing = there.flatMap(([name, track]) => stretches(name, track).filter((gap) => !isOnItsWay(session, gap, track)));
  const moments = there.flatMap(([name, track]) =>
    track.events.map((event) => ({ atMs: event.at_90k / 90, track: name, event })),
  );
  return {
    durationMs: Math.max(0, ...lengths),
    missing: missing.sort((one, other) => one.fromMs - other.fromMs),
    moments: moments.sort((one, other) => one.atMs - other.atMs),
  };
}

function stretches(name: 'video' | 'audio', track: TrackState): Stretch[] {
  const each = unitMs(track);
  return track.gaps.map(([first, last]) => ({
    fromMs: first * each,
    toMs: (last + 1) * each,
    track: name,
    lost: track.lost.some(([lostFirst, lostLast]) => lostFirst <= first && last <= lostLast),
  }));
}

/** Of what is live, the newest is always on its way. */
function isOnItsWay({ status }: Session, { fromMs }: Stretch, track: TrackState): boolean {
  return status === 'active' && fromMs > track.units * unitMs(track) - ON_ITS_WAY_MS;
}

/** How long a unit is on average. The API names gaps by unit numbers; where a track lacks much, this is near enough to look at. */
function unitMs(track: TrackState): number {
  const nominal = track.codec.codec === 'opus' ? 20 : track.codec.frame_duration_90k / 90;
  const whole = track.durable_units === track.units && track.units > 0;
  return whole ? track.duration_ms / track.units : nominal;
}
