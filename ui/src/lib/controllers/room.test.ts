import { beforeEach, expect, test, vi } from 'vitest';

import type { ErrorBody, RoomMessage } from '../protocol/types';
import { chat, joined, room, roomSession } from '../testing/watching';
import { RoomController, type RoomMemory } from './room.svelte';

const banned: ErrorBody = { code: 'unauthorized', message: 'You were banned from this room.', retryable: false };
let kept: RoomMemory[];
let why: ErrorBody | null;
const back = vi.fn();
let visit: RoomController;

beforeEach(() => {
  kept = [];
  why = null;
  back.mockClear();
  visit = new RoomController({ alias: 'Ada', viewerToken: 'old' }, (memory) => kept.push(memory), async () => why, back);
});

test('who comes back says who it was', () => {
  expect(visit.join()).toEqual({ type: 'join', viewer_token: 'old', alias: 'Ada', watches: true });
  visit.message(joined({ viewer_token: 'new' }));
  expect(kept.at(-1)).toEqual({ alias: 'Ada', viewerToken: 'new' });
  expect(visit.join()).toMatchObject({ viewer_token: 'new' });
});

test('sessions come, change, and go', () => {
  visit.message(joined({ room: room({ sessions: [] }) }));
  visit.message({ type: 'session', ...roomSession({ name: 'Cam' }) });
  expect([visit.sessions.length, visit.announcement]).toEqual([1, 'Cam is live.']);
  visit.message({ type: 'session', ...roomSession({ name: 'Cam', status: 'interrupted' }) });
  expect([visit.sessions.length, visit.sessions[0]?.status, visit.announcement]).toEqual([
    1, 'interrupted', 'Cam is reconnecting.',
  ]);
  visit.message({ type: 'session_ended', id: roomSession().id });
  expect([visit.sessions.length, visit.ended?.name]).toEqual([0, 'Cam']);
});

test('chat is kept up to a bound, deleted messages go, one’s own are not announced', () => {
  visit.message(joined({ viewer: 'me', chat: [chat(1)] }));
  visit.message({ type: 'chat', ...chat(2, { alias: 'Bob', text: '<b>hi</b>' }) });
  expect(visit.announcement).toBe('Bob: <b>hi</b>');
  visit.message({ type: 'chat', ...chat(3, { viewer: 'me', text: 'mine' }) });
  expect(visit.announcement).toBe('Bob: <b>hi</b>');
  visit.message({ type: 'chat_deleted', number: 1 });
  expect(visit.chat.map(({ number }) => number)).toEqual([2, 3]);
  for (let number = 4; number < 300; number += 1) visit.message({ type: 'chat', ...chat(number) });
  expect([visit.chat.length, visit.chat.at(-1)?.number]).toEqual([100, 299]);
});

test('what the server refuses is shown until something succeeds', () => {
  visit.message(joined());
  visit.message({ type: 'refused', code: 'rate_limited', message: 'Slower.', retryable: true });
  expect(visit.refusal).toBe('Slower.');
  visit.message({ type: 'chat', ...chat(1) });
  expect(visit.refusal).toBeNull();
});

test('a lost server is waited for, and told when it is back', async () => {
  visit.message(joined());
  expect(await visit.lost(true)).toBe(true);
  expect(visit.phase.kind).toBe('reconnecting');
  visit.message(joined());
  expect([visit.phase.kind, back.mock.calls.length]).toEqual(['open', 1]);
});

test('who must leave does not come back', async () => {
  visit.message(joined());
  visit.message({ type: 'error', ...banned } as RoomMessage);
  expect(visit.phase).toMatchObject({ kind: 'left', error: { code: 'unauthorized' } });
  expect(await visit.lost(true)).toBe(false);
});

test('a stopping server is no goodbye', async () => {
  visit.message(joined());
  visit.message({ type: 'error', code: 'shutting_down', message: 'The server stops.', retryable: true });
  expect(await visit.lost(true)).toBe(true);
  expect(visit.phase.kind).toBe('reconnecting');
});

test('a refused door is left, a closed network is not', async () => {
  expect(await visit.lost(false)).toBe(true);
  expect(visit.phase.kind).toBe('connecting');
  why = banned;
  expect(await visit.lost(false)).toBe(false);
  expect(visit.phase.kind).toBe('left');
});

test('an empty alias is none', () => {
  expect(visit.rename('Grace')).toEqual({ type: 'alias', alias: 'Grace' });
  expect(kept.at(-1)?.alias).toBe('Grace');
});
