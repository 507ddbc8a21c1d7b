import { expect, test } from 'vitest';

import { recordingPath, routeOf, watchPath } from './route';

const at = (pathname: string, search = '') => routeOf({ pathname, search });
const id = '01890a5d-ac96-7b7c-8f4e-000000000001';

test('every address of the site has its page', () => {
  expect(at('/')).toEqual({ page: 'wall' });
  expect(at(watchPath('studio-1'))).toEqual({ page: 'watch', room: 'studio-1' });
  expect(at(recordingPath(id))).toEqual({ page: 'recording', session: id });
  expect(at('/publish')).toEqual({ page: 'publish', room: null });
  expect(at('/publish', '?room=hall')).toEqual({ page: 'publish', room: 'hall' });
});

test('what names nothing is missing, whatever it tries', () => {
  for (const path of ['/watch', '/watch/', '/watch/a%2Fb', '/watch/..', '/watch/%', '/watch/a/b', '/recording/x', '/else']) {
    expect(at(path), path).toEqual({ page: 'missing' });
  }
  expect(at('/publish', '?room=../x')).toEqual({ page: 'publish', room: null });
});
