import { expect, test, vi } from 'vitest';

import { AccessToken } from './access_token';
import { Server, ServerError } from './server';

const id = '01890a5d-ac96-7b7c-8f4e-000000000001';

function server(answer: Response | Error, token: string | null = null) {
  const asked = vi.fn<typeof fetch>(async () => {
    if (answer instanceof Error) throw answer;
    return answer;
  });
  return { server: new Server('https://example.org', () => token, asked), asked };
}

async function failure(of: Promise<unknown>): Promise<ServerError> {
  return of.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => error as ServerError,
  );
}

test('the token goes into a header, and into addresses only where nothing else can carry it', async () => {
  const { server: to, asked } = server(Response.json({ rooms: [] }), 'a/b');
  await to.rooms();
  expect(asked.mock.calls[0]![1]!.headers).toEqual({ authorization: 'Bearer a/b' });
  expect(to.playlist(id)).toBe(`https://example.org/hls/${id}/index.m3u8`);
  expect(to.playlist(id, 'video')).toBe(`https://example.org/hls/${id}/video/index.m3u8`);
  expect(to.recording(id)).toBe(`https://example.org/api/sessions/${id}/recording.mp4?token=a%2Fb`);
  expect(to.roomSocket('studio')).toBe('wss://example.org/ws/rooms/studio?token=a%2Fb');
  expect(server(new Response()).server.recording(id)).not.toContain('token');
});

test('an offer is answered, and hung up where the answer says', async () => {
  const answer = new Response('v=0 answer', { status: 201, headers: { location: '/whep/sessions/7' } });
  Object.defineProperty(answer, 'url', { value: `https://example.org/whep/${id}` });
  const { server: to, asked } = server(answer, 't');
  const got = await to.whep(id, 'v=0 offer');
  expect(got).toEqual({ sdp: 'v=0 answer', location: 'https://example.org/whep/sessions/7' });
  expect(asked.mock.calls[0]).toMatchObject([
    `https://example.org/whep/${id}`,
    { method: 'POST', body: 'v=0 offer', headers: { 'content-type': 'application/sdp', authorization: 'Bearer t' } },
  ]);
  to.hangUp(got.location);
  expect(asked.mock.calls[1]).toMatchObject([got.location, { method: 'DELETE', keepalive: true }]);
});

test('a publisher names its session in a header, where no log and no history keeps it', async () => {
  const answer = new Response('v=0', { status: 201, headers: { location: '/whip/sessions/7' } });
  const { server: to, asked } = server(answer);
  Object.defineProperty(answer, 'url', { value: 'https://example.org/whip/studio' });
  await to.whip('studio', 'Ada B', `${id} key`, 'v=0 offer');
  expect(asked.mock.calls[0]).toMatchObject([
    'https://example.org/whip/studio?name=Ada%20B',
    { method: 'POST', headers: { 'content-type': 'application/sdp', 'longtake-session': `${id} key` } },
  ]);
});

test('who moderates learns by which link a viewer came, if it came by one', async () => {
  const viewers = [
    { viewer: 'a', alias: null, watches: true, token: 'f00' },
    { viewer: 'b', alias: null, watches: true, token: null },
  ];
  const token = (viewer: string) => server(Response.json({ viewers })).server.tokenOf('studio', viewer);
  expect([await token('a'), await token('b'), await token('c')]).toEqual(['f00', null, null]);
});

test('the server’s own words come through, and strange answers get words of ours', async () => {
  const body = { code: 'unauthorized', message: 'Show a token.', retryable: false };
  const refused = await failure(server(Response.json(body, { status: 401 })).server.rooms());
  expect([refused.status, refused.body]).toEqual([401, body]);
  const page = await failure(server(new Response('<html>', { status: 502 })).server.rooms());
  expect([page.status, page.body.retryable]).toEqual([502, true]);
  const nothing = await failure(server(new TypeError('network')).server.rooms());
  expect([nothing.status, nothing.body.retryable]).toEqual([0, true]);
});

test('a token comes by the fragment, stays with the tab, and leaves the address bar', () => {
  const kept = new Map<string, string>();
  const store = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => void kept.set(key, text),
    removeItem: (key: string) => void kept.delete(key),
  };
  const history = { replaceState: vi.fn() };
  const token = new AccessToken(store, { hash: '#token=s%2Fecret', pathname: '/watch/a', search: '?x=1' }, history);
  expect(token.get()).toBe('s/ecret');
  expect(history.replaceState).toHaveBeenCalledWith(null, '', '/watch/a?x=1');
  expect(new AccessToken(store, { hash: '#elsewhere', pathname: '/', search: '' }, history).get()).toBe('s/ecret');
  expect(history.replaceState).toHaveBeenCalledTimes(1);
  token.set('  ');
  expect(token.get()).toBeNull();
});
