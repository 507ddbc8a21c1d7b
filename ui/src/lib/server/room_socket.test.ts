import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { RoomMessage } from '../protocol/types';
import { joined } from '../testing/watching';
import { RoomSocket } from './room_socket';

class FakeSocket {
  readyState = 0;
  sent: string[] = [];
  onopen: () => void = () => {};
  onclose: () => void = () => {};
  onmessage: (event: { data: string }) => void = () => {};
  send = (text: string) => void this.sent.push(text);
  close = () => this.end();
  open() {
    this.readyState = 1;
    this.onopen();
  }
  end() {
    this.readyState = 3;
    this.onclose();
  }
}

let sockets: FakeSocket[];
let messages: RoomMessage[];
const lost = vi.fn<(opened: boolean) => Promise<boolean>>();
let room: RoomSocket;

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  messages = [];
  lost.mockReset().mockResolvedValue(true);
  const connect = () => {
    const socket = new FakeSocket();
    sockets.push(socket);
    return socket as unknown as WebSocket;
  };
  const join = () => ({ type: 'join' as const, viewer_token: null, alias: null, watches: true });
  room = new RoomSocket(connect, { join, message: (message) => messages.push(message), lost });
});
afterEach(() => vi.useRealTimers());

test('it joins first, and then passes on what it hears', () => {
  expect(room.say({ type: 'chat', text: 'early' })).toBe(false);
  sockets[0]!.open();
  expect(sockets[0]!.sent).toEqual(['{"type":"join","viewer_token":null,"alias":null,"watches":true}']);
  sockets[0]!.onmessage({ data: JSON.stringify(joined()) });
  sockets[0]!.onmessage({ data: 'no JSON' });
  expect(messages).toEqual([joined()]);
  expect(room.say({ type: 'chat', text: 'hello' })).toBe(true);
});

test('it comes back by itself, unless it is refused', async () => {
  sockets[0]!.open();
  sockets[0]!.end();
  await vi.advanceTimersByTimeAsync(1_000);
  expect([sockets.length, lost.mock.calls]).toEqual([2, [[true]]]);
  lost.mockResolvedValue(false);
  sockets[1]!.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([sockets.length, lost.mock.calls.at(-1)]).toEqual([2, [false]]);
});

test('who leaves does not come back', async () => {
  sockets[0]!.open();
  room.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([sockets.length, lost.mock.calls.length]).toEqual([1, 0]);
});
