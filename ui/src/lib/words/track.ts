import type { Condition, Input, Problem, Session, SessionPhase, Track } from '../platform/types';
import { bytes, count, span } from './format';

export type TrackName = 'video' | 'audio';

/** How much a person has to care, and by that the colour of a track's mark. */
export type Tone = 'quiet' | 'ok' | 'warn' | 'fault';

/** What a track's line says. */
export interface TrackWords {
  /** The state's name: as in `TrackPhase`, or one of those before a session. */
  phase: string;
  /** One short sentence. Its numbers change. */
  text: string;
  /** The same without numbers, for a screen reader to say once. */
  spoken: string;
  tone: Tone;
}

/** What the line of a track says, in a session or before one. */
export function trackWords(name: TrackName, input: Input, session: Session | null): TrackWords {
  const track = session?.[name];
  if (session && track) return duringSession(name, input, track, session.phase);
  return beforeSession(name, input);
}

function beforeSession(name: TrackName, input: Input): TrackWords {
  const device = name === 'video' ? 'camera' : 'microphone';
  if (!input.on) return plain('off', name === 'video' ? 'Camera off' : 'Muted', 'quiet');
  switch (input.condition.kind) {
    case 'delivering':
      return plain('ready', 'Ready', 'quiet');
    case 'opening':
      return plain('opening', `Opening the ${device}`, 'quiet');
    case 'closed':
      return plain('closed', `The ${device} is closed`, 'quiet');
    case 'lost':
    case 'failed':
      return plain('problem', conditionWords(input.condition, device), 'fault');
  }
}

function conditionWords(condition: Condition & { kind: 'lost' | 'failed' }, device: string): string {
  switch (condition.problem.code) {
    case 'no_device':
    case 'device_not_found':
      return `No ${device}`;
    case 'permission_denied':
      return `The ${device} may not be used`;
    case 'device_busy':
      return `Another program has the ${device}`;
    case 'device_unplugged':
      return `The ${device} was unplugged`;
    default:
      return `The ${device} does not work`;
  }
}

function duringSession(name: TrackName, input: Input, track: Track, session: SessionPhase): TrackWords {
  const { arrival, phase } = track;
  const recording = session.kind === 'running';
  const kept = bytes(arrival.backlog_bytes);
  const of = `${count(arrival.durable_units)} of ${count(arrival.units)}`;
  const lost = arrival.lost_units > 0 ? `, ${count(arrival.lost_units)} lost` : '';
  switch (phase.kind) {
    case 'waiting':
      return plain('waiting', `Waiting for the ${name === 'video' ? 'camera' : 'microphone'}`, 'quiet');
    case 'connecting':
      return plain('connecting', 'Connecting', 'quiet');
    case 'live':
      return live(name, input, track, lost);
    case 'catching_up':
      return {
        phase: 'catching_up',
        text: `Catching up, ${span(arrival.backlog_ms)} left (${kept})${lost}`,
        spoken: 'catching up',
        tone: 'warn',
      };
    case 'offline':
      return recording
        ? {
            phase: 'offline',
            text: `Offline, recording on this device (${kept} kept)${lost}`,
            spoken: 'offline, recording on this device',
            tone: 'warn',
          }
        : {
            phase: 'offline',
            text: `Offline, ${kept} kept on this device${lost}`,
            spoken: 'offline, kept on this device',
            tone: 'warn',
          };
    case 'complete':
      return { phase: 'complete', text: `Complete, ${of}`, spoken: 'complete', tone: 'ok' };
    case 'incomplete':
      return { phase: 'incomplete', text: `Incomplete, ${of}`, spoken: 'incomplete', tone: 'fault' };
    case 'refused':
      return refused(phase.problem.code, recording, kept);
  }
}

/** It arrives; but silence and darkness that somebody wanted, or did not want, are not hidden behind that. */
function live(name: TrackName, input: Input, track: Track, lost: string): TrackWords {
  const device = name === 'video' ? 'camera' : 'microphone';
  const gone = input.condition.kind === 'lost' || input.condition.kind === 'failed';
  const off = name === 'video' ? 'camera off' : 'muted';
  const but = !input.on ? `, ${off}` : gone ? `, but the ${device} is gone` : '';
  const warns = lost !== '' || (input.on && gone) || track.is_paused;
  if (track.is_paused) {
    const text = `Not live: too little network${but}${lost}`;
    return { phase: 'live', text, spoken: `not live, too little network${but}`, tone: 'warn' };
  }
  const lowered = track.wanted_bitrate_bps < track.full_bitrate_bps;
  const kbit = (bps: number) => count(Math.round(bps / 1000));
  const rates = `${kbit(track.wanted_bitrate_bps)} of ${kbit(track.full_bitrate_bps)} kbit/s`;
  const text = `Live${but}${lowered ? `, keeping up: ${rates}` : ''}${lost}`;
  return { phase: 'live', text, spoken: `live${but}${lowered ? ', keeping up' : ''}`, tone: warns ? 'warn' : 'ok' };
}

/** What to do about it stands in the notice, which has the room; here it counts that nothing is lost. */
function refused(code: Problem['code'], recording: boolean, kept: string): TrackWords {
  const why = code === 'unauthorized' ? 'Token refused' : code === 'server_storage' ? 'Server cannot store' : 'Refused';
  const text = recording ? `${why}, recording here (${kept} kept)` : `${why}, ${kept} kept here`;
  return { phase: 'refused', text, spoken: lowered(why), tone: 'fault' };
}

function plain(phase: string, text: string, tone: Tone): TrackWords {
  return { phase, text, spoken: lowered(text), tone };
}

function lowered(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
