import Hls from 'hls.js';
import { expect, test } from 'vitest';

import { PATIENCE } from './hls_patience';

const policies = Object.values(PATIENCE).map(({ default: policy }) => policy);

/** What hls.js decides by itself (`shouldRetry` of its error helper), and then asks the policy about. */
function retries(config: (typeof policies)[number]['errorRetry'], count: number, code: number): boolean {
  const own = count < config!.maxNumRetry && code !== 0 && (code < 400 || code > 499);
  return config!.shouldRetry!(config, count, false, { url: '', code }, own);
}

test('a network that is away for a moment is asked again, and not for ever', () => {
  for (const { errorRetry } of policies) {
    expect([retries(errorRetry, 0, 0), retries(errorRetry, errorRetry!.maxNumRetry, 0)]).toEqual([true, false]);
    expect([retries(errorRetry, 0, 503), retries(errorRetry, 0, 404), retries(errorRetry, 0, 401)]).toEqual([true, false, false]);
  }
});

test('a playlist without a segment is asked for until the longest segment is there, on both tracks', () => {
  const { errorRetry } = PATIENCE.playlistLoadPolicy.default;
  expect((errorRetry!.maxNumRetry * errorRetry!.retryDelayMs) / 2).toBeGreaterThan(8_000);
});

test('nothing gives up before the server has had its time to answer', () => {
  for (const { maxTimeToFirstByteMs, maxLoadTimeMs } of policies) {
    expect(maxTimeToFirstByteMs).toBeGreaterThan(8_000 * 2);
    expect(maxLoadTimeMs).toBeGreaterThan(maxTimeToFirstByteMs);
  }
});

test('hls.js takes the policies as they are', () => {
  const { manifestLoadPolicy, playlistLoadPolicy, fragLoadPolicy } = new Hls({ ...PATIENCE }).config;
  expect({ manifestLoadPolicy, playlistLoadPolicy, fragLoadPolicy }).toEqual(PATIENCE);
});
