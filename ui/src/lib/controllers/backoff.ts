/** How long to wait before trying again: twice as long after every failure, up to a limit, and never quite the same for everybody. */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly firstMs = 500,
    private readonly longestMs = 10_000,
    private readonly random: () => number = Math.random,
  ) {}

  /** Counts a failure; the wait after it, in ms. */
  next(): number {
    const whole = Math.min(this.longestMs, this.firstMs * 2 ** this.failures);
    this.failures += 1;
    return Math.round(whole * (0.75 + this.random() / 4));
  }

  /** It works again. */
  reset(): void {
    this.failures = 0;
  }
}
