import type { HlsConfig, LoadPolicy, LoaderConfig, RetryConfig } from 'hls.js';

/** The server answers what is about to come after 8 s at the latest; a slow phone, or a slow network, takes its time besides. */
const FIRST_BYTE_MS = 20_000;
/** A playlist of many hours over a slow network, or a segment. */
const PLAYLIST_MS = 30_000;
const MEDIA_MS = 60_000;

/**
 * hls.js takes no answer at all for a page that may not ask, and gives up at once. Here everything may be asked for, and no answer means
 * that the network is away for a moment: giving up would throw away what is in hand.
 */
function again(retries: number, delayMs: number): RetryConfig {
  return {
    maxNumRetry: retries,
    retryDelayMs: delayMs,
    maxRetryDelayMs: delayMs,
    backoff: 'linear',
    shouldRetry: (_config, count, _isTimeout, answer, retry) => retry || (count < retries && answer?.code === 0),
  };
}

function policy(maxLoadTimeMs: number, errorRetry: RetryConfig): LoadPolicy {
  const patience: LoaderConfig = { maxTimeToFirstByteMs: FIRST_BYTE_MS, maxLoadTimeMs, timeoutRetry: again(4, 0), errorRetry };
  return { default: patience };
}

/**
 * How long hls.js waits for an answer, and how often it asks again. Together it is at it for about as long as a player waits for a picture
 * that stands still.
 *
 * The first 4 s of a session are parts without a segment, which hls.js takes for an error of an empty playlist; it counts those of both tracks
 * together. So a playlist is asked for often, in short intervals: 8 s for both, the longest that a segment lasts, and some.
 */
export const PATIENCE: Pick<HlsConfig, 'manifestLoadPolicy' | 'playlistLoadPolicy' | 'fragLoadPolicy'> = {
  manifestLoadPolicy: policy(PLAYLIST_MS, again(8, 1_000)),
  playlistLoadPolicy: policy(PLAYLIST_MS, again(48, 400)),
  fragLoadPolicy: policy(MEDIA_MS, again(16, 1_000)),
};
