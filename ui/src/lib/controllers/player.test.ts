import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { SourceListener, Transport } from '../server/source';
import { reading } from '../testing/watching';
import { Player } from './player.svelte';
import { TransportChoice } from './transport_choice';

interface Opened {
  transport: Transport;
  listener: SourceListener;
  closed: boolean;
  bytes: number;
  /** No picture is made of them. */
  blind: boolean;
  level: number;
  liveEdgeS: number | null;
  fromS: number | null;
}

let opened: Opened[];
let video: HTMLVideoElement;
let player: Player;
let detach: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  opened = [];
  video = document.createElement('video');
  video.play = vi.fn(async () => {});
  video.pause = vi.fn();
  player = new Player(
    (transport, _, listener, fromS) => {
      const one: Opened = { transport, listener, closed: false, bytes: 0, blind: false, level: 0, liveEdgeS: null, fromS };
      opened.push(one);
      return {
        transport,
        get liveEdgeS() {
          return one.liveEdgeS;
        },
        read: async () => reading({ at: Date.now(), bytes: one.bytes, frames: one.blind ? 0 : one.bytes / 100, audioLevel: one.level }),
        close: () => (one.closed = true),
      };
    },
    new TransportChoice(true),
    () => Date.now(),
  );
  detach = player.attach(video);
});

afterEach(() => {
  detach();
  vi.useRealTimers();
});

const latest = () => opened.at(-1)!;
const play = () => {
  latest().listener.connected();
  video.dispatchEvent(new Event('playing'));
};

async function seconds(count: number, bytesEach = 0): Promise<void> {
  for (let second = 0; second < count; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    latest().bytes += bytesEach;
    await player.tick();
  }
}

test('WebRTC comes first, muted, and plays', () => {
  expect([latest().transport, video.muted, player.phase]).toEqual(['webrtc', true, 'connecting']);
  play();
  expect(player.phase).toBe('playing');
});

test('where WebRTC does not come through it is HLS at once', () => {
  latest().listener.failed({ kind: 'unreachable' });
  expect(opened.map(({ transport }) => transport)).toEqual(['webrtc', 'hls']);
  expect(opened[0]!.closed).toBe(true);
});

test('a browser that says it plays before it is connected is not believed', () => {
  video.dispatchEvent(new Event('playing'));
  expect(player.phase).toBe('connecting');
  latest().listener.connected();
  expect(player.phase).toBe('playing');
});

test('where bytes never become a picture it is HLS from then on, unless there is only sound', async () => {
  play();
  player.expect(true, false);
  latest().blind = true;
  await seconds(12, 1_000);
  expect([latest().transport, player.phase]).toEqual(['webrtc', 'playing']);
  player.expect(true, true);
  await seconds(1, 1_000);
  expect(opened.map(({ transport, closed }) => [transport, closed])).toEqual([
    ['webrtc', true],
    ['hls', false],
  ]);
  for (let failures = 0; failures < 4; failures += 1) {
    latest().listener.failed({ kind: 'lost' });
    await vi.advanceTimersByTimeAsync(10_000);
  }
  expect(opened.slice(1).map(({ transport }) => transport)).not.toContain('webrtc');
});

test('a lost connection comes back by itself after a while', async () => {
  play();
  latest().listener.failed({ kind: 'lost' });
  expect([player.phase, opened.length]).toEqual(['reconnecting', 1]);
  await vi.advanceTimersByTimeAsync(600);
  expect([opened.length, latest().transport]).toEqual([2, 'webrtc']);
  play();
  expect(player.phase).toBe('playing');
});

test('what brings nothing any more is dropped, unless nothing is expected', async () => {
  play();
  player.expect(false, true);
  await seconds(20);
  expect(player.phase).toBe('playing');
  player.expect(true, true);
  await seconds(5, 1_000);
  expect(player.phase).toBe('playing');
  expect(player.stands).toBe(false);
  await seconds(4);
  expect([player.stands, player.phase]).toEqual([true, 'playing']);
  await seconds(4);
  expect([player.phase, opened[0]!.closed]).toEqual(['reconnecting', true]);
});

test('HLS, which asks again by itself, is given more time, and the page says meanwhile that nothing comes', async () => {
  player.prefer('hls');
  play();
  await seconds(12);
  expect([player.stands, player.phase, latest().closed]).toEqual([true, 'playing', false]);
  await seconds(1, 1_000);
  expect([player.stands, player.phase]).toEqual([false, 'playing']);
  await seconds(21);
  expect([player.phase, latest().closed]).toEqual(['reconnecting', true]);
});

test('when the server is back nobody waits for the next attempt', () => {
  play();
  latest().listener.failed({ kind: 'lost' });
  player.serverIsBack();
  expect(opened).toHaveLength(2);
  play();
  player.serverIsBack();
  expect(opened).toHaveLength(2);
});

test('an old source has no say any more', () => {
  const [old] = opened;
  old!.listener.failed({ kind: 'unreachable' });
  old!.listener.failed({ kind: 'lost' });
  expect(opened).toHaveLength(2);
});

test('going back brings the past by HLS, and back to live brings WebRTC again', async () => {
  play();
  player.seekBy(-10);
  expect(latest().transport).toBe('hls');
  latest().liveEdgeS = 60;
  play();
  expect(video.currentTime).toBe(50);
  await seconds(1, 1_000);
  expect(player.behindS).toBe(10);
  player.toLive();
  expect([latest().transport, player.behindS]).toEqual(['webrtc', null]);
});

test('the past comes back where it was', async () => {
  play();
  player.seekBy(-10);
  latest().liveEdgeS = 60;
  play();
  latest().listener.failed({ kind: 'lost' });
  await vi.advanceTimersByTimeAsync(1_000);
  expect([latest().transport, latest().fromS]).toEqual(['hls', 50]);
});

test('who pauses is behind, and does not lose the connection for it', async () => {
  play();
  player.togglePause();
  expect(video.pause).toHaveBeenCalled();
  await seconds(20);
  expect([player.phase, player.behindS !== null]).toEqual(['playing', true]);
  player.togglePause();
  await seconds(1, 1_000);
  expect(player.behindS).toBeNull();
});

test('who speaks is seen, also between two words', async () => {
  play();
  latest().level = 0.2;
  await seconds(1, 100);
  expect(player.speaking).toBe(true);
  latest().level = 0;
  await seconds(1, 100);
  expect(player.speaking).toBe(true);
  await seconds(2, 100);
  expect(player.speaking).toBe(false);
});

test('sound that the browser refuses does not stop the picture', async () => {
  play();
  vi.mocked(video.play).mockRejectedValueOnce(new DOMException('', 'NotAllowedError'));
  player.setMuted(false);
  await vi.advanceTimersByTimeAsync(0);
  expect([player.muted, video.muted]).toEqual([true, true]);
});

test('once let go it opens nothing more', async () => {
  latest().listener.failed({ kind: 'lost' });
  detach();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(opened).toHaveLength(1);
});
