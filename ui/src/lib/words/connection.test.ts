import { expect, test } from 'vitest';

import { problem, session, track } from '../testing/fakes';
import { connectionTrouble } from './connection';

const offline = track({ kind: 'offline', reason: 'The server is gone.' });
const refused = track({ kind: 'refused', problem: problem('unauthorized', 'Enter a token.') });

test('nothing is said while everything arrives, or once it is over', () => {
  expect(connectionTrouble(null)).toBeNull();
  expect(connectionTrouble(session())).toBeNull();
  const phase = { kind: 'incomplete', problem: problem('server_refused') } as const;
  expect(connectionTrouble(session({ phase, video: offline }))).toBeNull();
});

test('one track that does not arrive is enough, also while the rest is sent', () => {
  const expected = { text: 'The server is gone. Trying again by itself.', refusal: null };
  expect(connectionTrouble(session({ audio: offline }))).toEqual(expected);
  expect(connectionTrouble(session({ phase: { kind: 'finishing' }, video: offline, audio: null }))).toEqual(expected);
});

test('a refusal comes before what passes by itself', () => {
  expect(connectionTrouble(session({ video: offline, audio: refused }))).toEqual({
    text: 'Enter a token.',
    refusal: 'unauthorized',
  });
});

test('a first connection is given a moment', () => {
  const video = track({ kind: 'connecting' });
  expect(connectionTrouble(session({ video, elapsed_ms: 4000 }))).toBeNull();
  expect(connectionTrouble(session({ video, elapsed_ms: 4001 }))?.text).toContain('No connection yet');
});
