import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { chat } from '../testing/watching';
import Chat from './Chat.svelte';

const onsay = vi.fn<(text: string) => boolean | Promise<boolean>>();
const onrename = vi.fn<(alias: string) => void>();
const onban = vi.fn<(viewer: string) => void>();

beforeEach(() => {
  onsay.mockReset().mockReturnValue(true);
  onrename.mockReset();
  onban.mockReset();
});

function show(alias: string | null, administer = false) {
  const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
  const said = [chat(1, { alias: '<b>Ada</b>', text: hostile })];
  const moderation = administer ? { ondelete: () => {}, onremove: () => {}, onban } : null;
  const props = { chat: said, viewer: 'b'.repeat(32), alias, refusal: null, onsay, onrename, moderation };
  return { hostile, ...render(Chat, { props }) };
}

test('hostile text is text', () => {
  const { hostile } = show('Me');
  const message = screen.getByTestId('message');
  expect(message.textContent).toContain(hostile);
  expect(message.textContent).toContain('<b>Ada</b>');
  expect(message.querySelector('img, script, b')).toBeNull();
});

test('who has no name says one first', async () => {
  const { rerender } = show(null);
  expect(screen.queryByTestId('chat-text')).toBeNull();
  await userEvent.type(screen.getByTestId('alias'), ' Grace {Enter}');
  expect(onrename).toHaveBeenCalledExactlyOnceWith('Grace');
  await rerender({ alias: 'Grace' });
  await userEvent.type(screen.getByTestId('chat-text'), ' Hello {Enter}');
  expect(onsay).toHaveBeenCalledExactlyOnceWith('Hello');
  expect(screen.getByTestId<HTMLInputElement>('chat-text').value).toBe('');
});

test('what could not be sent is kept, and said', async () => {
  show('Me');
  onsay.mockResolvedValue(false);
  await userEvent.type(screen.getByTestId('chat-text'), 'Hello{Enter}');
  expect(screen.getByTestId<HTMLInputElement>('chat-text').value).toBe('Hello');
  expect(screen.getByRole('alert').textContent).toContain('no connection');
});

test('only who may moderates, and a ban is asked for twice', async () => {
  show('Me');
  expect(screen.queryByTestId('moderate')).toBeNull();
  cleanup();
  show('Me', true);
  await fireEvent.click(screen.getByTestId('moderate'));
  await fireEvent.click(screen.getByTestId('ban-viewer'));
  expect(onban).not.toHaveBeenCalled();
  await fireEvent.click(screen.getByTestId('ban-viewer'));
  expect(onban).toHaveBeenCalledWith('a'.repeat(32));
});
