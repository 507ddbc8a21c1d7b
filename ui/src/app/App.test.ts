import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Theme } from '../lib/controllers/theme.svelte';
import type { State } from '../lib/platform/types';
import { fakePlatform, problem, roomView, session, state, track } from '../lib/testing/fakes';
import { chat, roomSession } from '../lib/testing/watching';
import App from './App.svelte';

let fake: ReturnType<typeof fakePlatform>;

beforeEach(() => {
  fake = fakePlatform({ cameras: [{ id: 'one', name: 'One' }], microphones: [{ id: 'mic', name: 'Mic' }] });
});

async function show(told: State) {
  const theme = new Theme(document.documentElement, localStorage);
  render(App, { props: { platform: fake.platform, theme } });
  await waitFor(() => expect(fake.platform.watch).toHaveBeenCalled());
  fake.tell(told);
  return screen.findByTestId('start-stop');
}

async function click(testid: string) {
  await fireEvent.click(screen.getByTestId(testid));
}

function withoutServer(local_server: string | null): State {
  return state({ local_server, settings: { ...state().settings, server: null, has_token: false } });
}

test('before a session the lines say that the devices are ready', async () => {
  await show(state());
  expect(screen.getByTestId('video-track').dataset.phase).toBe('ready');
  expect(screen.getByTestId('audio-track').textContent).toContain('Ready');
  expect(screen.queryByTestId('elapsed')).toBeNull();
  expect(screen.queryByTestId('notice')).toBeNull();
});

test('starting without a server opens the settings at the address', async () => {
  const start = await show(withoutServer(null));
  expect(screen.getByTestId('notice').textContent).toContain('Enter your server or paste a pairing link.');
  await fireEvent.click(start);
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('server-field')));
  expect(fake.platform.start).not.toHaveBeenCalled();
});

test('what an earlier run has left is one quiet line', async () => {
  const left = { room: 'studio', server: 'https://example.org', started_unix_ms: 1, backlog_ms: 9_000 };
  await show(state({ unfinished: [{ ...left, id: 'a', phase: { kind: 'sending' }, backlog_bytes: 812_000 }] }));
  expect(screen.getByTestId('notice').textContent).toContain('An earlier recording is being sent: 812 kB left.');
});

test('little room on this device is one line, and its next step leads to the setting', async () => {
  const storage = problem('device_storage_low', 'Four fifths of the room for recordings on this device are used.');
  await show(state({ session: session({ storage }) }));
  const notice = screen.getByTestId('notice');
  expect(notice.textContent).toContain('Four fifths');
  await fireEvent.click(within(notice).getByRole('button', { name: 'Settings' }));
  const limit = await screen.findByLabelText('A recording may take');
  await fireEvent.change(limit, { target: { value: '16' } });
  expect(fake.platform.changeSettings).toHaveBeenCalledWith({ spool_bytes: 16 * 2 ** 30 });
  await fireEvent.click(screen.getByRole('radio', { name: /Go on/ }));
  expect(fake.platform.changeSettings).toHaveBeenCalledWith({ when_full: 'drop-oldest' });
});

test('a server on this machine is offered', async () => {
  await show(withoutServer('http://localhost:7700'));
  expect(screen.getByTestId('notice').textContent).toContain('Found a server on this machine. Use it?');
  await click('use-local-server');
  expect(fake.platform.useLocalServer).toHaveBeenCalledOnce();
});

test('live: the badge, the time, the viewers and both lines', async () => {
  await show(state({ session: session({ elapsed_ms: 751_000, viewers: 4 }) }));
  expect(screen.getByTestId('elapsed').textContent).toBe('00:12:31');
  expect(screen.getByTestId('elapsed').parentElement?.textContent).toContain('Live');
  expect(screen.getByTestId('viewers').textContent).toContain('4');
  expect(screen.getByTestId('video-track').dataset.phase).toBe('live');
});

test('the room: who watches, a link for others, and why there is none', async () => {
  await show(state({ session: session() }));
  await click('room');
  expect(fake.platform.openRoom).toHaveBeenCalledOnce();
  fake.tellRoom(roomView({ viewers: 4 }));
  await waitFor(() => expect(screen.getByTestId('room-viewers').textContent).toContain('4 viewers'));
  expect(screen.getByTestId('room-others').textContent).toContain('Nobody else is live in this room.');
  await click('share');
  expect((await screen.findByTestId<HTMLInputElement>('invitation')).value).toBe('https://example.org/watch/studio#token=abc');
  await click('invitation-copy');
  expect(fake.platform.copyText).toHaveBeenCalledExactlyOnceWith('https://example.org/watch/studio#token=abc');
  await click('room');
  expect(screen.queryByTestId('room-panel')).toBeNull();
  expect(fake.platform.closeRoom).toHaveBeenCalledOnce();
  fake.platform.invite.mockRejectedValueOnce(problem('unauthorized', 'This token may not invite.'));
  await click('room');
  await click('share');
  expect((await screen.findByRole('alert')).textContent).toBe('This token may not invite.');
});

test('the sessions of others are played, and the own one is not', async () => {
  HTMLMediaElement.prototype.play = vi.fn(async () => {});
  await show(state({ session: session({ id: 'own' }) }));
  await click('room');
  fake.tellRoom(roomView({ sessions: [roomSession({ id: 'own' }), roomSession({ id: 'other' })] }));
  expect((await screen.findByTestId('tile')).dataset.session).toBe('other');
  expect(fake.platform.playSession).toHaveBeenCalledOnce();
  expect(fake.platform.playSession.mock.lastCall?.[0]).toBe('other');
  expect(screen.getByTestId<HTMLVideoElement>('video').muted).toBe(true);
  fake.tellRoom(roomView({ sessions: [roomSession({ id: 'own' })] }));
  await waitFor(() => expect(screen.queryByTestId('tile')).toBeNull());
});

test('the chat asks for a name, and says what did not go out', async () => {
  await show(state());
  await click('room');
  fake.tellRoom(roomView({ chat: [chat(1, { text: 'Hello' })] }));
  expect((await screen.findByTestId('message')).textContent).toContain('Hello');
  await userEvent.type(screen.getByTestId('alias'), 'Grace{Enter}');
  expect(fake.platform.changeSettings).toHaveBeenCalledExactlyOnceWith({ alias: 'Grace' });
  fake.tell(state({ settings: { ...state().settings, alias: 'Grace' } }));
  fake.platform.say.mockRejectedValueOnce(problem('not_now'));
  await userEvent.type(await screen.findByTestId('chat-text'), 'Hi{Enter}');
  expect(fake.platform.say).toHaveBeenCalledExactlyOnceWith('Hi');
  expect((await screen.findByRole('alert')).textContent).toContain('Not sent');
  await userEvent.type(screen.getByTestId('chat-text'), '{Enter}');
  await waitFor(() => expect(screen.getByTestId<HTMLInputElement>('chat-text').value).toBe(''));
});

test('the settings stand before the room, which goes on behind them', async () => {
  await show(state());
  await click('room');
  await click('settings-open');
  expect(screen.queryByTestId('room-panel')).toBeNull();
  await click('sheet-close');
  expect(screen.getByTestId('room-panel')).toBeTruthy();
  expect(fake.platform.openRoom).toHaveBeenCalledOnce();
  expect(fake.platform.closeRoom).not.toHaveBeenCalled();
});

test('a room that does not let one in says why, and what to do', async () => {
  await show(state());
  await click('room');
  const left = (code: 'unauthorized' | 'server_refused', message: string) =>
    fake.tellRoom(roomView({ phase: { kind: 'left', problem: problem(code, message) } }));
  left('server_refused', 'The room is full.');
  expect((await screen.findByRole('alert')).textContent).toBe('The room is full.');
  await click('room-again');
  expect(fake.platform.openRoom).toHaveBeenCalledTimes(2);
  left('unauthorized', 'The token is wrong.');
  await waitFor(() => expect(screen.getByRole('alert').textContent).toBe('The token is wrong.'));
  await fireEvent.click(within(screen.getByTestId('room-panel')).getByRole('button', { name: 'Settings' }));
  expect(screen.getByTestId('server-field')).toBeTruthy();
});

test('what is said while nobody looks is counted on the chip', async () => {
  await show(state({ session: session() }));
  fake.tellRoom(roomView());
  fake.tellRoom(roomView({ chat: [chat(1)] }));
  expect((await screen.findByTestId('unread')).textContent).toContain('1');
  await click('room');
  expect(screen.queryByTestId('unread')).toBeNull();
});

test('offline: what is kept, no word of live, and a way to reconnect', async () => {
  const gone = track({ kind: 'offline', reason: 'The server is gone.' }, { backlog_bytes: 3_400_000 });
  await show(state({ session: session({ video: gone, audio: gone }) }));
  expect(screen.getByTestId('video-track').textContent).toContain(
    'Offline, recording on this device (3.4 MB kept)',
  );
  expect(screen.getByTestId('elapsed').parentElement?.textContent).not.toContain('Live');
  await click('reconnect');
  expect(fake.platform.reconnect).toHaveBeenCalledOnce();
});

test('a refused token is said with the way to the settings', async () => {
  const refused = track({ kind: 'refused', problem: problem('unauthorized', 'The token is wrong.') });
  await show(state({ session: session({ video: refused, audio: refused }) }));
  const notice = screen.getByTestId('notice');
  expect(notice.textContent).toContain('The token is wrong.');
  await fireEvent.click(screen.getByText('Settings', { selector: '[data-testid=notice] button' }));
  expect(screen.getByTestId('server-field')).toBeTruthy();
});

test('a line opens its details, and Escape closes them', async () => {
  await show(state({ session: session() }));
  await click('video-track');
  const details = screen.getByLabelText('Video in detail');
  for (const text of ['2.4 Mbit/s', '2.5 Mbit/s', '30.0', '18 %', '21 ms', '1,800 of 1,800']) {
    expect(details.textContent).toContain(text);
  }
  await fireEvent.keyDown(window, { key: 'Escape' });
  expect(screen.queryByLabelText('Video in detail')).toBeNull();
});

test('the summary of a complete session copies the link and starts again', async () => {
  await show(state({ session: session({ phase: { kind: 'complete' }, elapsed_ms: 60_000 }) }));
  const summary = screen.getByTestId('session-summary');
  expect(summary.dataset.outcome).toBe('complete');
  expect(summary.textContent).toContain('1,800 of 1,800');
  await click('copy-link');
  expect(fake.platform.copyText).toHaveBeenCalledExactlyOnceWith(session().recording_url);
  await waitFor(() => expect(screen.getByTestId('copy-link').textContent).toContain('Copied'));
  await click('summary-done');
  expect(fake.platform.dismiss).toHaveBeenCalledOnce();
  await click('start-again');
  expect(fake.platform.start).toHaveBeenCalledOnce();
});

test('a session that is not complete says why', async () => {
  const phase = { kind: 'incomplete', problem: problem('server_refused', '12 pictures are missing.') } as const;
  await show(state({ session: session({ phase }) }));
  expect(screen.getByTestId('session-summary').textContent).toContain('12 pictures are missing.');
});

test('a camera that is missing can be replaced by the test picture', async () => {
  const condition = { kind: 'failed', problem: problem('no_device', 'No camera was found.') } as const;
  await show(state({ camera: { ...state().camera, condition } }));
  expect(screen.getByTestId('notice').textContent).toContain('No camera was found.');
  await fireEvent.click(screen.getByText('Use test picture'));
  expect(fake.platform.changeSettings).toHaveBeenCalledExactlyOnceWith({ camera: { kind: 'synthetic' } });
});

test('a command that fails shows its problem until it is dismissed', async () => {
  fake.platform.start.mockRejectedValueOnce(problem('not_now', 'It runs already.'));
  const start = await show(state());
  await fireEvent.click(start);
  const notice = await screen.findByTestId('notice');
  expect(notice.textContent).toContain('It runs already.');
  await fireEvent.click(screen.getByLabelText('Dismiss'));
  expect(screen.queryByTestId('notice')).toBeNull();
});

test('closing while it records asks first', async () => {
  await show(state({ closing: true, session: session() }));
  expect(screen.getByText('Still recording. Finish and close?')).toBeTruthy();
  await click('close-keep');
  expect(fake.platform.close).toHaveBeenLastCalledWith('keep');
  await click('close-finish');
  expect(fake.platform.close).toHaveBeenLastCalledWith('finish');
  await waitFor(() => expect(screen.getByTestId('close-dialog').textContent).toContain('Sending the rest'));
});

test('an answer that could not be given is told in the dialog', async () => {
  fake.platform.close.mockRejectedValueOnce(problem('internal', 'The window does not close.'));
  await show(state({ closing: true, session: session() }));
  await click('close-finish');
  const dialog = screen.getByTestId('close-dialog');
  await waitFor(() => expect(dialog.textContent).toContain('The window does not close.'));
  expect(screen.getByTestId<HTMLButtonElement>('close-finish').disabled).toBe(false);
});

test('the connection test shows how each step went', async () => {
  fake.platform.testConnection.mockResolvedValueOnce({
    server: 'https://example.org',
    steps: [
      { name: 'name', outcome: { kind: 'passed', detail: '203.0.113.7' } },
      { name: 'connect', outcome: { kind: 'failed', problem: problem('unreachable', 'Nothing answers.') } },
      { name: 'tls', outcome: { kind: 'skipped' } },
    ],
  });
  await show(state());
  await click('settings-open');
  await click('test-connection');
  const report = await screen.findByTestId('connection-report');
  const outcomes = [...report.querySelectorAll('li')].map((step) => step.dataset.outcome);
  expect(outcomes).toEqual(['passed', 'failed', 'skipped']);
  expect(report.textContent).toContain('Nothing answers.');
});

test('a token can be typed in, and is never shown', async () => {
  await show(state());
  await click('settings-open');
  const field = screen.getByTestId<HTMLInputElement>('token-field');
  expect([field.type, field.value]).toEqual(['password', '']);
  expect(screen.getByText('Kept in the keyring.')).toBeTruthy();
  field.value = 'secret';
  await fireEvent.input(field);
  await fireEvent.change(field);
  expect(fake.platform.changeSettings).toHaveBeenCalledExactlyOnceWith({ token: { kind: 'set', token: 'secret' } });
  await waitFor(() => expect(field.value).toBe(''));
});

test('devices and quality are chosen from lists', async () => {
  const presets = [{ name: '720p', quality: state().settings.quality }];
  await show(state({ presets }));
  await click('settings-open');
  await fireEvent.click(await screen.findByLabelText('One'));
  expect(fake.platform.changeSettings).toHaveBeenLastCalledWith({ camera: { kind: 'device', id: 'one' } });
  await fireEvent.click(screen.getByLabelText(/^Custom/));
  const fps = screen.getByLabelText<HTMLInputElement>('Frames a second');
  fps.value = '500';
  await fireEvent.change(fps);
  expect(fake.platform.changeSettings).toHaveBeenLastCalledWith({ quality: { ...presets[0]?.quality, fps: 120 } });
});

test('the mark of a clipped sound stays until it is tapped', async () => {
  await show(state());
  fake.level({ peak_dbfs: 0, rms_dbfs: -6, clipped: true });
  await waitFor(() => expect(screen.getByTestId<HTMLButtonElement>('clip').disabled).toBe(false));
  expect(screen.getByTestId('meter').dataset.peakDbfs).toBe('0.0');
  await click('clip');
  expect(screen.getByTestId<HTMLButtonElement>('clip').disabled).toBe(true);
});

test('a change of a track is said once to those who listen', async () => {
  await show(state({ session: session() }));
  fake.tell(state({ session: session({ audio: track({ kind: 'catching_up' }) }) }));
  await waitFor(() => expect(screen.getByTestId('announcement').textContent).toBe('Audio: catching up.'));
});
