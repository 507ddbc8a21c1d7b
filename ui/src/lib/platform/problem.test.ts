import { expect, test } from 'vitest';

import { toProblem } from './problem';

test('a problem stays what it is', () => {
  const problem = { code: 'unreachable', message: 'No answer.', retryable: true } as const;
  expect(toProblem(problem)).toBe(problem);
});

test.each([[new Error('boom'), 'boom'], ['boom', 'boom'], [{ code: 5 }, 'Something went wrong'], [undefined, 'Something went wrong']])(
  'anything else becomes a fault of the app: %o',
  (error, text) => {
    expect(toProblem(error)).toMatchObject({ code: 'internal', retryable: false });
    expect(toProblem(error).message).toContain(text);
  },
);
