// Wall time in µs from the monotonic browser clock, set again every few seconds (the host's clock may be stepped).

const AGAIN_MS = 5_000;

export class WallClock {
  #originMs = Date.now() - performance.now();
  #setAt = performance.now();

  nowUs(): number {
    return this.fromPerformance(performance.now());
  }

  /** A DOMHighResTimeStamp as µs since 1970. */
  fromPerformance(ms: number): number {
    const now = performance.now();
    if (now - this.#setAt > AGAIN_MS) {
      this.#setAt = now;
      const origin = Date.now() - now;
      // Date.now() is whole milliseconds: move only for a real step.
      if (Math.abs(origin - this.#originMs) > 2) this.#originMs = origin;
    }
    return Math.round((this.#originMs + ms) * 1000);
  }
}
