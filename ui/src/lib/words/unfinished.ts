import type { Unfinished } from '../platform/types';
import { bytes } from './format';

/** One line for all sessions of earlier runs that wait on this device; null when there are none. */
export function unfinishedLine(sessions: Unfinished[]): string | null {
  if (sessions.length === 0) return null;
  const refused = sessions.map(({ phase }) => phase).find((phase) => phase.kind === 'refused');
  if (refused) return `An earlier recording cannot be sent. ${refused.problem.message}`;
  const one = sessions.length === 1;
  const what = one ? 'An earlier recording' : `${sessions.length} earlier recordings`;
  const left = bytes(sessions.reduce((sum, { backlog_bytes }) => sum + backlog_bytes, 0));
  return sessions.some(({ phase }) => phase.kind === 'sending')
    ? `${what} ${one ? 'is' : 'are'} being sent: ${left} left.`
    : `${what} ${one ? 'waits' : 'wait'} on this device to be sent: ${left}.`;
}
