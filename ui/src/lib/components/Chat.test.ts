import { fireEvent, render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { RoomController } from '../../lib/controllers/room.svelte';
import type { ViewerMessage } from '../../lib/protocol/types';
import { chat, joined } from '../../lib/testing/watching';
import Chat from './Chat.svelte';

const onsay = vi.fn<(message: ViewerMessage) => boolean>();
const onban = vi.fn<(viewer: string) => void>();
let room: RoomController;

beforeEach(() => {
  onsay.mockReset().mockReturnValue(true);
  onban.mockReset();
});

function show(alias: string | null, administer = false) {
  room = new RoomController({ alias, viewerToken: null }, () => {}, async () => null);
  const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
  room.message(joined({ chat: [chat(1, { alias: '<b>Ada</b>', text: hostile })], rights: { publish: false, administer } }));
  render(Chat, { props: { room, onsay, ondelete: () => {}, onremove: () => {}, onban } });
  return hostile;
}

test('hostile text is text', () => {
  const hostile = show('Me');
  const message = screen.getByTestId('message');
  expect(message.textContent).toContain(hostile);
  expect(message.textContent).toContain('<b>Ada</b>');
  expect(message.querySelector('img, script, b')).toBeNull();
});

test('who has no name says one first', async () => {
  show(null);
  expect(screen.queryByTestId('chat-text')).toBeNull();
  await userEvent.type(screen.getByTestId('alias'), 'Grace{Enter}');
  expect(onsay).toHaveBeenCalledWith({ type: 'alias', alias: 'Grace' });
  await userEvent.type(screen.getByTestId('chat-text'), ' Hello {Enter}');
  expect(onsay).toHaveBeenLastCalledWith({ type: 'chat', text: 'Hello' });
  expect(screen.getByTestId<HTMLInputElement>('chat-text').value).toBe('');
});

test('what could not be sent is kept, and said', async () => {
  show('Me');
  onsay.mockReturnValue(false);
  await userEvent.type(screen.getByTestId('chat-text'), 'Hello{Enter}');
  expect(screen.getByTestId<HTMLInputElement>('chat-text').value).toBe('Hello');
  expect(screen.getByRole('alert').textContent).toContain('no connection');
});

test('only who may moderates, and a ban is asked for twice', async () => {
  show('Me');
  expect(screen.queryByTestId('moderate')).toBeNull();
  document.body.replaceChildren();
  show('Me', true);
  await fireEvent.click(screen.getByTestId('moderate'));
  await fireEvent.click(screen.getByTestId('ban-viewer'));
  expect(onban).not.toHaveBeenCalled();
  await fireEvent.click(screen.getByTestId('ban-viewer'));
  expect(onban).toHaveBeenCalledWith('a'.repeat(32));
});
