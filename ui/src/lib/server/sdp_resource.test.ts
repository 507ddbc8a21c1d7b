import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { type PeerFailure, SdpResource } from './sdp_resource';
import type { SdpAnswer, Server } from './server';

class FakePeer {
  connectionState = 'new';
  localDescription: { sdp: string } | null = null;
  onconnectionstatechange: (() => void) | null = null;
  close = vi.fn();
  setRemoteDescription = vi.fn(async () => {});
  createOffer = async () => ({ type: 'offer', sdp: 'offer' });
  setLocalDescription = async (description: { sdp: string }) => void (this.localDescription = description);
  become(state: string) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

let peer: FakePeer;
let failures: PeerFailure[];
const connected = vi.fn();
const hangUp = vi.fn<Server['hangUp']>();
let resource: SdpResource;
const answer: SdpAnswer = { sdp: 'answer', location: '/1' };

beforeEach(() => {
  vi.useFakeTimers();
  peer = new FakePeer();
  failures = [];
  connected.mockClear();
  hangUp.mockClear();
  const server = { hangUp } as unknown as Server;
  const listener = { connected, failed: (failure: PeerFailure) => failures.push(failure) };
  resource = new SdpResource(peer as unknown as RTCPeerConnection, server, listener);
});
afterEach(() => vi.useRealTimers());

test('an offer is answered, connected, and hung up at the end', async () => {
  const post = vi.fn(async () => answer);
  await resource.open(post);
  expect(post).toHaveBeenCalledWith('offer');
  expect(peer.setRemoteDescription).toHaveBeenCalledWith({ type: 'answer', sdp: 'answer' });
  peer.become('connected');
  await vi.advanceTimersByTimeAsync(60_000);
  expect([connected.mock.calls.length, failures]).toEqual([1, []]);
  resource.close();
  resource.close();
  expect([peer.close.mock.calls.length, hangUp.mock.calls]).toEqual([1, [['/1']]]);
});

test('where no packet comes through it is unreachable, once', async () => {
  await resource.open(async () => answer);
  await vi.advanceTimersByTimeAsync(20_000);
  peer.become('failed');
  expect([failures, hangUp.mock.calls.length]).toEqual([[{ kind: 'unreachable' }], 1]);
});

test('what is disconnected for a moment recovers, for longer it is lost', async () => {
  await resource.open(async () => answer);
  peer.become('connected');
  peer.become('disconnected');
  await vi.advanceTimersByTimeAsync(1_000);
  peer.become('connected');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(failures).toEqual([]);
  peer.become('disconnected');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(failures).toEqual([{ kind: 'lost' }]);
});

test('who comes back after a failure says no goodbye, and after that only', async () => {
  const server = { hangUp } as unknown as Server;
  const open = () => {
    peer = new FakePeer();
    const listener = { connected, failed: (failure: PeerFailure) => failures.push(failure) };
    return new SdpResource(peer as unknown as RTCPeerConnection, server, listener, true);
  };
  await open().open(async () => answer);
  peer.become('connected');
  peer.become('failed');
  expect([failures, peer.close.mock.calls.length, hangUp.mock.calls.length]).toEqual([[{ kind: 'lost' }], 1, 0]);
  resource = open();
  await resource.open(async () => answer);
  resource.close();
  expect(hangUp.mock.calls).toEqual([['/1']]);
});

test('a refusal says why', async () => {
  const error = new Error('no');
  await resource.open(() => Promise.reject(error));
  expect(failures).toEqual([{ kind: 'refused', error }]);
});

test('who leaves while the server thinks hangs up all the same', async () => {
  let answerNow: (answer: SdpAnswer) => void = () => {};
  const opening = resource.open(() => new Promise((resolve) => (answerNow = resolve)));
  await vi.advanceTimersByTimeAsync(0);
  resource.close();
  answerNow(answer);
  await opening;
  expect([hangUp.mock.calls, peer.setRemoteDescription.mock.calls.length]).toEqual([[['/1']], 0]);
});
