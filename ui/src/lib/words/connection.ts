import type { Problem, Session, TrackPhase } from '../platform/types';

/** What keeps a session from arriving. */
export interface ConnectionTrouble {
  text: string;
  /** The server's refusal, which somebody has to do something about; without one it passes by itself. */
  refusal: Problem['code'] | null;
}

/** The first connection has taken longer than one thinks nothing of. */
const SLOW_MS = 4000;

/** What keeps the session's tracks from arriving; what needs somebody comes before what passes. */
export function connectionTrouble(session: Session | null): ConnectionTrouble | null {
  if (session?.phase.kind !== 'running' && session?.phase.kind !== 'finishing') return null;
  const phases = [session.video, session.audio].flatMap((track) => (track ? [track.phase] : []));
  const refused = phases.find(is('refused'));
  if (refused) return { text: refused.problem.message, refusal: refused.problem.code };
  const offline = phases.find(is('offline'));
  if (offline) return { text: `${offline.reason} Trying again by itself.`, refusal: null };
  const slow = session.elapsed_ms > SLOW_MS && phases.some(is('connecting'));
  return slow ? { text: 'No connection yet. Trying again by itself.', refusal: null } : null;
}

function is<Kind extends TrackPhase['kind']>(kind: Kind) {
  return (phase: TrackPhase): phase is TrackPhase & { kind: Kind } => phase.kind === kind;
}
