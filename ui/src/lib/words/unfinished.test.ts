import { expect, test } from 'vitest';

import type { Unfinished, UnfinishedPhase } from '../platform/types';
import { unfinishedLine } from './unfinished';

function one(phase: UnfinishedPhase): Unfinished {
  const times = { started_unix_ms: 1, backlog_ms: 9_000 };
  return { id: 'a', room: 'studio', server: 'https://example.org', phase, backlog_bytes: 1_500_000, ...times };
}

test('one line tells what waits, what is sent, and what cannot be', () => {
  const waiting = one({ kind: 'waiting' });
  const sending = one({ kind: 'sending' });
  const problem = { code: 'unauthorized' as const, message: 'Give the token.', retryable: false };
  expect(unfinishedLine([])).toBeNull();
  expect(unfinishedLine([waiting])).toBe('An earlier recording waits on this device to be sent: 1.5 MB.');
  expect(unfinishedLine([sending])).toBe('An earlier recording is being sent: 1.5 MB left.');
  expect(unfinishedLine([waiting, sending])).toBe('2 earlier recordings are being sent: 3.0 MB left.');
  expect(unfinishedLine([waiting, one({ kind: 'refused', problem })])).toBe(
    'An earlier recording cannot be sent. Give the token.',
  );
});
