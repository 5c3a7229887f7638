// Is this picture live? A silently frozen tile is the worst failure of a video wall.

export const LATE_US = 2_000_000;
export const FROZEN_US = 5_000_000;

export type Freshness = "live" | "late" | "frozen";

export function freshness(ageUs: number): Freshness {
  if (ageUs > FROZEN_US) return "frozen";
  return ageUs > LATE_US ? "late" : "live";
}

/** Below this difference the two clocks are taken as one (network delay, NTP wander). */
const SAME_CLOCK_US = 500_000;
const WINDOW = 100;

/**
 * How far this desk's clock is ahead of the server's, from the send instants of arriving messages. The smallest
 * difference of a window is the clock's; all else is the network's. A difference under half a second counts as none.
 */
export class ClockOffset {
  #window: number[] = [];

  observe(receivedUs: number, sentUs: number): void {
    this.#window.push(receivedUs - sentUs);
    if (this.#window.length > WINDOW) this.#window.shift();
  }

  get us(): number {
    if (this.#window.length === 0) return 0;
    const smallest = Math.min(...this.#window);
    return Math.abs(smallest) < SAME_CLOCK_US ? 0 : smallest;
  }
}

interface Shown {
  mediaS: number;
  captureUs: number;
}

/** Finds the capture instant of a displayed frame by its media time. Bounded: the oldest entry goes. */
export class CaptureIndex {
  #entries: Shown[] = [];

  constructor(readonly bound = 600) {}

  add(mediaS: number, captureUs: number): void {
    this.#entries.push({ mediaS, captureUs });
    if (this.#entries.length > this.bound) this.#entries.shift();
  }

  clear(): void {
    this.#entries = [];
  }

  /** The frame shown at this media time: the nearest one within a tolerance, s. */
  at(mediaS: number, tolerance = 0.012): number | null {
    let best: Shown | null = null;
    for (let i = this.#entries.length - 1; i >= 0; i -= 1) {
      const entry = this.#entries[i];
      if (entry === undefined) continue;
      if (best === null || Math.abs(entry.mediaS - mediaS) < Math.abs(best.mediaS - mediaS)) best = entry;
      if (entry.mediaS < mediaS - 1) break;
    }
    return best !== null && Math.abs(best.mediaS - mediaS) <= tolerance ? best.captureUs : null;
  }
}
