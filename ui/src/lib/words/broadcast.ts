import type { BroadcastPhase, DeviceProblem } from '../controllers/broadcast.svelte';
import type { TrackWords } from './track';

/** What the line of a browser's track says, in the app's words. A browser keeps nothing: what is cut off is gone, and it says so. */
export function broadcastWords(
  name: 'video' | 'audio',
  phase: BroadcastPhase,
  open: boolean,
  off: boolean,
  problems: DeviceProblem[],
): TrackWords {
  const device = name === 'video' ? 'camera' : 'microphone';
  const problem = problems.find((one) => one.device === device);
  if (!open && phase === 'opening') return words('opening', `Opening the ${device}`, 'quiet');
  if (!open) return words('problem', problem?.name === 'Ended' ? `The ${device} is gone` : `No ${device}`, 'fault');
  const but = off ? (name === 'video' ? ', camera off' : ', muted') : '';
  switch (phase) {
    case 'opening':
    case 'ready':
      return off ? words('off', name === 'video' ? 'Camera off' : 'Muted', 'quiet') : words('ready', 'Ready', 'quiet');
    case 'connecting':
      return words('connecting', `Connecting${but}`, 'quiet');
    case 'live':
      return words('live', `Live${but}`, off ? 'quiet' : 'ok');
    case 'reconnecting':
      return words('offline', 'Offline, not recording. Trying again by itself', 'warn');
  }
}

function words(phase: string, text: string, tone: TrackWords['tone']): TrackWords {
  return { phase, text, spoken: text.charAt(0).toLowerCase() + text.slice(1), tone };
}
