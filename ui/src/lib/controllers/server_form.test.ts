import { beforeEach, expect, test } from 'vitest';

import { fakePlatform, problem, state } from '../testing/fakes';
import { ServerForm } from './server_form.svelte';

const { settings } = state();
let platform: ReturnType<typeof fakePlatform>['platform'];
let form: ServerForm;

beforeEach(() => {
  ({ platform } = fakePlatform());
  form = new ServerForm(platform);
  form.follow(settings);
});

test('the fields show what is kept, and follow it', () => {
  expect([form.server, form.room, form.token]).toEqual(['https://example.org', 'studio', '']);
  form.follow({ ...settings, server: 'https://other.example' });
  expect(form.server).toBe('https://other.example');
});

test('what is being typed is left alone when something else changes', () => {
  form.server = 'https://half';
  form.follow({ ...settings, mirrored: true });
  expect(form.server).toBe('https://half');
});

test('a changed address is kept, an unchanged one is not sent', async () => {
  await form.keepServer();
  expect(platform.changeSettings).not.toHaveBeenCalled();
  form.server = ' https://new.example ';
  await form.keepServer();
  expect(platform.changeSettings).toHaveBeenCalledExactlyOnceWith({ server: 'https://new.example' });
});

test('a token goes in and leaves the field', async () => {
  form.token = 'secret';
  await form.keepToken();
  expect(platform.changeSettings).toHaveBeenCalledExactlyOnceWith({ token: { kind: 'set', token: 'secret' } });
  expect(form.token).toBe('');
  await form.forgetToken();
  expect(platform.changeSettings).toHaveBeenLastCalledWith({ token: { kind: 'clear' } });
});

test('a token that could not be kept stays in the field, and the problem is told', async () => {
  platform.changeSettings.mockRejectedValueOnce(problem('settings_unusable', 'The disk is full.'));
  form.token = 'secret';
  await form.keepToken();
  expect(form.token).toBe('secret');
  expect(form.problem?.message).toBe('The disk is full.');
});

test('a pairing link in the place of the address pairs', async () => {
  form.server = 'longtake://pair?server=x';
  await form.keepServer();
  expect(platform.pair).toHaveBeenCalledExactlyOnceWith('longtake://pair?server=x');
  expect(platform.changeSettings).not.toHaveBeenCalled();
  expect([form.server, form.link]).toEqual(['https://example.org', '']);
});

test('a pairing link that is none stays in its field', async () => {
  platform.pair.mockRejectedValueOnce(problem('bad_pairing_link'));
  form.link = 'longtake://pair?';
  await form.pair();
  expect(form.link).toBe('longtake://pair?');
  expect(form.problem?.code).toBe('bad_pairing_link');
});

test('a test waits for what is being kept, and then tries the kept token', async () => {
  let keep = () => {};
  platform.changeSettings.mockImplementationOnce(() => new Promise((kept) => (keep = kept)));
  form.token = 'secret';
  const keeping = form.keepToken();
  const testing = form.test();
  await Promise.resolve();
  expect(form.testing).toBe(true);
  expect(platform.testConnection).not.toHaveBeenCalled();
  keep();
  await Promise.all([keeping, testing]);
  expect(platform.testConnection).toHaveBeenCalledExactlyOnceWith('https://example.org', null);
  expect(form.report?.server).toBe('https://example.org');
  expect(form.testing).toBe(false);
});

test('a test that fails as a whole tells why', async () => {
  platform.testConnection.mockRejectedValueOnce('boom');
  await form.test();
  expect(form.problem).toMatchObject({ code: 'internal', message: expect.stringContaining('boom') });
  expect(form.testing).toBe(false);
});
