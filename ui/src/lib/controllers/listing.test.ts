import { expect, test, vi } from 'vitest';

import { ServerError } from '../server/server';
import { recorded, room } from '../testing/watching';
import { Listing } from './listing.svelte';

const id = (number: number) => `01890a5d-ac96-7b7c-8f4e-${String(number).padStart(12, '0')}`;
const page = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, at) => recorded({ id: id(from - at) }));

test('rooms with somebody live, the most watched first', async () => {
  const rooms = [room({ name: 'b', viewers: 1 }), room({ name: 'empty', sessions: [] }), room({ name: 'a', viewers: 5 })];
  const listing = new Listing({ rooms: async () => ({ rooms }), sessions: async () => ({ sessions: [], next_before: null }) });
  await listing.refresh();
  expect(listing.rooms.map(({ name }) => name)).toEqual(['a', 'b']);
  expect([listing.ready, listing.more]).toEqual([true, false]);
});

test('older pages stay when the newest is read again', async () => {
  const sessions = vi.fn(async (before: string | null = null) =>
    before === null ? { sessions: page(6, 4), next_before: id(4) } : { sessions: page(3, 1), next_before: null },
  );
  const listing = new Listing({ rooms: async () => ({ rooms: [] }), sessions });
  await listing.refresh();
  expect([listing.library.length, listing.more]).toEqual([3, true]);
  await listing.loadMore();
  expect([listing.library.length, listing.more]).toEqual([6, false]);
  sessions.mockResolvedValueOnce({ sessions: page(7, 5), next_before: id(5) });
  await listing.refresh();
  expect(listing.library.map((session) => session.id)).toEqual([7, 6, 5, 4, 3, 2, 1].map(id));
  expect(listing.more).toBe(false);
});

test('a refusal is told', async () => {
  const body = { code: 'unauthorized', message: 'Token?', retryable: false } as const;
  const refuse = async () => {
    throw new ServerError(401, body);
  };
  const listing = new Listing({ rooms: refuse, sessions: refuse });
  await listing.refresh();
  expect([listing.error, listing.ready]).toEqual([body, false]);
});
