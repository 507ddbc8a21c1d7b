import type { Problem } from './types';

/** The problem that a failed command reports; anything else becomes a fault of the app, with its text. */
export function toProblem(error: unknown): Problem {
  if (isProblem(error)) return error;
  const text = error instanceof Error ? error.message : typeof error === 'string' ? error : '';
  const message = text === '' ? 'Something went wrong inside the app.' : `Something went wrong inside the app: ${text}`;
  return { code: 'internal', message, retryable: false };
}

function isProblem(error: unknown): error is Problem {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message, retryable } = error as Record<string, unknown>;
  return typeof code === 'string' && typeof message === 'string' && typeof retryable === 'boolean';
}
