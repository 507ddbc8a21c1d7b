import { fireEvent, render, screen } from '@testing-library/svelte';
import { expect, test, vi } from 'vitest';

import { Player } from '../../lib/controllers/player.svelte';
import { TransportChoice } from '../../lib/controllers/transport_choice';
import { reading, roomSession } from '../../lib/testing/watching';
import Tile from './Tile.svelte';

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
