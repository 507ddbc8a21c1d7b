/** Values with their times, of the last so many ms. */
export class Recent {
  private entries: { at: number; value: number }[] = [];

  constructor(private readonly spanMs: number) {}

  push(at: number, value: number): void {
    this.entries.push({ at, value });
    this.forget(at);
  }

  /** How many a second, over the time that the window covers. */
  perSecond(now: number): number {
    this.forget(now);
    const first = this.entries[0];
    const last = this.entries.at(-1);
    if (!first || !last || last.at === first.at) return 0;
    // Intervals, not values, lie between the first and the last; the time since the last one counts as soon as it is
    // longer than an interval, so that the rate falls when nothing comes.
    const interval = (last.at - first.at) / (this.entries.length - 1);
    const covered = last.at - first.at + Math.max(0, now - last.at - interval);
    return ((this.entries.length - 1) * 1000) / covered;
  }

  /** The value that the given part, 0 to 1, does not exceed; `null` without values. */
  percentile(part: number, now: number): number | null {
    this.forget(now);
    if (this.entries.length === 0) return null;
    const sorted = this.entries.map((entry) => entry.value).sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? null;
  }

  private forget(now: number): void {
    const oldest = now - this.spanMs;
    const kept = this.entries.findIndex((entry) => entry.at >= oldest);
    if (kept > 0) this.entries.splice(0, kept);
    else if (kept < 0) this.entries = [];
  }
}
