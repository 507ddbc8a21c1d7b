import type { Quality } from '../controllers/quality';
import type { Stretch } from '../controllers/timeline';
import type { ErrorBody, Event, Session, SessionStatus } from '../protocol/types';
import type { Transport } from '../server/source';
import { bitsPerSecond, count, percent, perSecond, span } from './format';

/** `WebRTC`, `WebRTC over TCP`, `HLS` */
export function transportName(transport: Transport, overTcp: boolean): string {
  if (transport === 'hls') return 'HLS';
  return overTcp ? 'WebRTC over TCP' : 'WebRTC';
}

/** `40 ms`, `1.4 s`: how long the picture has been on its way from the server. */
export function delay(ms: number): string {
  return ms < 1000 ? `${count(Math.round(ms / 10) * 10)} ms` : `${perSecond(ms / 1000)} s`;
}

/** `1 viewer`, `1,200 viewers` */
export function viewers(number: number): string {
  return number === 1 ? '1 viewer' : `${count(number)} viewers`;
}

/** A connection in one word. */
export function gradeWord(grade: Quality['grade']): string {
  return { good: 'Good connection', fair: 'Fair connection', poor: 'Poor connection' }[grade];
}

/** A connection in figures: `30 fps, 2.1 Mbit/s, 0 % lost, 4 ms jitter` */
export function qualityFigures(quality: Quality): string {
  const parts = [`${Math.round(quality.framesPerS)} fps`, bitsPerSecond(quality.bitsPerS)];
  if (quality.lost !== null) parts.push(`${percent(quality.lost)} lost`);
  if (quality.jitterMs !== null) parts.push(`${Math.round(quality.jitterMs)} ms jitter`);
  return parts.join(', ');
}

const moment = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const time = new Intl.DateTimeFormat('en', { timeStyle: 'short' });

/** `Nov 14, 2023, 10:13 PM` */
export function dateAndTime(unixMs: number): string {
  return moment.format(unixMs);
}

/** `10:13 PM` */
export function timeOfDay(unixMs: number): string {
  return time.format(unixMs);
}

export interface Completeness {
  mark: 'complete' | 'live' | 'incomplete';
  text: string;
}

/** Whether a recording is all there. */
export function completeness(session: Session): Completeness {
  const missing = [session.video, session.audio].reduce((sum, track) => {
    return sum + (track ? track.units - track.durable_units : 0);
  }, 0);
  switch (session.status) {
    case 'active':
      return { mark: 'live', text: 'Live' };
    case 'interrupted':
      return { mark: 'live', text: 'Reconnecting' };
    case 'completed':
      return missing === 0
        ? { mark: 'complete', text: 'Complete' }
        : { mark: 'incomplete', text: `${count(missing)} units are lost` };
    case 'abandoned':
      return { mark: 'incomplete', text: 'Never finished' };
  }
}

/** Whether somebody may still add to a session. */
export function goesOn(status: SessionStatus): boolean {
  return status === 'active' || status === 'interrupted';
}

/** A figure in the detail of an event: one of its words `name=value`. */
function figure(detail: string, name: string): number | null {
  const value = detail.split(' ').find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : null;
}

/** What the picture has left on a slow network: `: 740 kbit/s of 2.0 Mbit/s`. */
function rate(detail: string): string {
  const [now, full] = [figure(detail, 'bitrate_bps'), figure(detail, 'full_bps')];
  if (figure(detail, 'paused') === 1) return ': the picture follows later';
  return now === null || full === null ? '' : `: ${bitsPerSecond(now)} of ${bitsPerSecond(full)}`;
}

/** How long it was interrupted: ` after 12 s`. */
function away(detail: string): string {
  const ms = figure(detail, 'away_ms');
  return ms === null ? '' : ` after ${span(ms)}`;
}

const REASONS = new Map([
  ['sleep', 'the device slept'],
  ['phone_call', 'a call'],
  ['permission_withdrawn', 'the permission was taken back'],
  ['thermal', 'the device was too hot'],
  ['camera_lost', 'another app took the camera'],
  ['background', 'the app was in the background'],
  ['connection_lost', 'the connection was lost'],
]);

/** Why it was interrupted: `: the device slept`. */
function reason(detail: string): string {
  const word = detail.split(' ').find((word) => word.startsWith('reason='))?.slice('reason='.length);
  const known = REASONS.get(word ?? '');
  return known === undefined ? '' : `: ${known}`;
}

/** What an event says on a timeline. */
export function eventWords({ kind, detail }: Event, track: 'video' | 'audio'): string {
  const device = track === 'video' ? 'camera' : 'microphone';
  const words: Partial<Record<Event['kind'], string>> = {
    device_lost: `The ${device} was lost`,
    device_restored: `The ${device} is back`,
    device_switched: `Another ${device}`,
    muted: track === 'video' ? 'Camera off' : 'Muted',
    unmuted: track === 'video' ? 'Camera on' : 'Sound on',
    quality_changed: 'Another quality',
    frames_dropped: 'Frames were dropped',
    units_lost: track === 'video' ? 'Some pictures were lost' : 'Some sound was lost',
    interrupted: `Interrupted${reason(detail)}`,
    resumed: `Goes on${away(detail)}`,
    sound_resynchronised: 'The sound was put in step again',
    rate_lowered: `Lower quality for a slow network${rate(detail)}`,
    rate_restored: 'Full quality again',
    clock_drift: 'The microphone’s clock was corrected',
  };
  const said = words[kind] ?? kind.replaceAll('_', ' ');
  // Some kinds have figures for programs.
  return detail === '' || detail.includes('=') ? said : `${said}: ${detail}`;
}

/** What a gap says on a timeline. */
export function gapWords({ fromMs, toMs, track, lost }: Stretch): string {
  const what = track === 'video' ? 'Picture' : 'Sound';
  return `${what} missing for ${perSecond((toMs - fromMs) / 1000)} s: ${lost ? 'lost for good' : 'it may still arrive'}`;
}

/** A page that tells why there is nothing to see, and what to do. */
export interface Standing {
  kind: 'token' | 'forbidden' | 'removed' | 'closed' | 'full' | 'missing' | 'broken';
  title: string;
  text: string;
}

/** What to say when the server does not let somebody in. */
export function standingFor(error: ErrorBody): Standing {
  // Codes that a newer server has are broken doors like any other.
  switch (error.code as string) {
    case 'unauthorized':
      return {
        kind: 'token',
        title: 'The server asks for a token',
        text: 'The link had none, or it is wrong, or it has run out. Ask for a new link, or enter a token.',
      };
    case 'forbidden':
      return {
        kind: 'forbidden',
        title: 'Not with this link',
        text: 'The token is right, but it is for another room. Ask for a link to this one, or enter another token.',
      };
    case 'removed':
      return {
        kind: 'removed',
        title: 'You were asked to leave',
        text: 'Whoever moderates this room has removed you from it.',
      };
    case 'room_closed':
      return { kind: 'closed', title: 'This room is closed', text: 'What was recorded in it is in the library.' };
    case 'room_full':
      return { kind: 'full', title: 'This room is full', text: 'No more viewers fit into it now. Try again later.' };
    case 'not_found':
      return { kind: 'missing', title: 'Nothing is here', text: 'The link may be old, or something in it is missing.' };
    default:
      return { kind: 'broken', title: 'This does not work now', text: error.message };
  }
}

/** What is wrong with a browser's camera or microphone, and what to do. */
export function deviceProblem(device: 'camera' | 'microphone', name: string): string {
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return `This page may not use the ${device}. Allow it in the browser’s address bar, then load the page again.`;
    case 'NotFoundError':
    case 'OverconstrainedError':
      return `No ${device} was found. Connect one, then choose it here.`;
    case 'NotReadableError':
    case 'AbortError':
      return `Another program has the ${device}. Close it there, then choose the ${device} here.`;
    case 'Ended':
      return `The ${device} is gone. Connect it again, then choose it here.`;
    default:
      return `The ${device} does not work.`;
  }
}

/** Why this browser cannot publish, and what to do. */
export function publishingProblem(missing: 'secure-page' | 'webrtc' | 'h264'): { title: string; text: string } {
  switch (missing) {
    case 'secure-page':
      return {
        title: 'The page must come over https',
        text: 'Browsers give camera and microphone only to pages with an https address, or on localhost. Open this page with https; how the server gets a certificate stands in its manual under TLS.',
      };
    case 'webrtc':
      return {
        title: 'This browser cannot publish',
        text: 'It has no WebRTC. Use a current Chrome, Edge, Firefox or Safari, or the Longtake app.',
      };
    case 'h264':
      return {
        title: 'This browser has no H.264',
        text: 'The server records H.264 and never converts. Use a current Chrome, Edge or Safari, or the Longtake app. Firefox downloads its H.264 part after the first start: try again in a minute.',
      };
  }
}
