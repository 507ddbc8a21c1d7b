import { expect, test } from 'vitest';

import { problem, session, state, track } from '../testing/fakes';
import { Announcements } from './announcements.svelte';

const live = state({ session: session() });
const offline = { kind: 'offline', reason: 'Gone.' } as const;

function said(before: ReturnType<typeof state>, after: ReturnType<typeof state>): string {
  const announcements = new Announcements();
  announcements.take(before, after);
  return announcements.text;
}

test('both tracks changing alike are said once', () => {
  const after = state({ session: session({ video: track(offline), audio: track(offline) }) });
  expect(said(live, after)).toBe('Video and audio: offline, recording on this device.');
});

test('one track is said by its name', () => {
  const after = state({ session: session({ audio: track({ kind: 'catching_up' }) }) });
  expect(said(live, after)).toBe('Audio: catching up.');
});

test('a number that changes is not said', () => {
  const before = state({ session: session({ video: track(offline, { backlog_bytes: 1 }) }) });
  const after = state({ session: session({ video: track(offline, { backlog_bytes: 9_000_000 }) }) });
  expect(said(before, after)).toBe('');
});

test('start and end of a session are said', () => {
  expect(said(state(), live)).toContain('Recording.');
  expect(said(live, state({ session: session({ phase: { kind: 'finishing' } }) }))).toBe('Stopped. Sending the rest.');
  const complete = session({
    phase: { kind: 'complete' },
    video: track({ kind: 'complete' }),
    audio: track({ kind: 'complete' }),
  });
  expect(said(live, state({ session: complete }))).toBe(
    'Complete. The server has everything. Video and audio: complete.',
  );
  const incomplete = session({ phase: { kind: 'incomplete', problem: problem('server_refused', 'It closed.') } });
  expect(said(live, state({ session: incomplete }))).toBe('Ended, and not complete. It closed.');
});

test('what is there at the beginning is not news', () => {
  const announcements = new Announcements();
  announcements.take(null, live);
  expect(announcements.text).toBe('');
});
