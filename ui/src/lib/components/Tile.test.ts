import { fireEvent, render, screen } from '@testing-library/svelte';
import { expect, test, vi } from 'vitest';

import { Player } from '../controllers/player.svelte';
import { TransportChoice } from '../controllers/transport_choice';
import { reading, roomSession } from '../testing/watching';
import Tile from './Tile.svelte';

test('WebRTC is offered only where there is some', async () => {
  HTMLMediaElement.prototype.play = vi.fn(async () => {});
  const open = () => ({ transport: 'hls' as const, read: async () => reading(), close: () => {} });
  const player = new Player(open, new TransportChoice(false));
  render(Tile, { props: { player, session: roomSession(), now: 0 } });
  await fireEvent.click(screen.getByTestId('connection'));
  expect(screen.getByTestId('connection-details').querySelector('button')).toBeNull();
});

test('turning the sound on, or a change of the session, opens no new connection', async () => {
  HTMLMediaElement.prototype.play = vi.fn(async () => {});
  const open = vi.fn(() => ({ transport: 'webrtc' as const, read: async () => reading(), close: vi.fn() }));
  const player = new Player(open, new TransportChoice(true));
  const { rerender } = render(Tile, { props: { player, session: roomSession(), now: 0 } });
  await fireEvent.click(screen.getByTestId('tile-mute'));
  expect(player.muted).toBe(false);
  await rerender({ player, session: roomSession({ status: 'interrupted' }), now: 1 });
  expect(screen.getByTestId('tile').textContent).toContain('Reconnecting');
  expect(open).toHaveBeenCalledTimes(1);
});
