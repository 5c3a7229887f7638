// Keeps playback close behind the newest frame: small changes of speed, a jump when too far behind.

export const TARGET_MIN_S = 0.08;
export const TARGET_MAX_S = 0.15;
export const RATE_MIN = 0.95;
export const RATE_MAX = 1.08;
/** Farther behind than this: jump instead of catching up. */
export const JUMP_S = 1;

export interface EdgeInput {
  /** Play position, s. */
  position: number;
  /** First and last buffered instant of the newest range, s. */
  start: number;
  end: number;
}

export interface EdgeOrder {
  rate: number;
  /** New position, or null to stay. */
  seekTo: number | null;
}

/** Each stall moves the target away from the edge, calm moves it back. */
export class LiveEdge {
  #target = TARGET_MIN_S;
  #calmSteps = 0;

  get target(): number {
    return this.#target;
  }

  /** The element ran dry. */
  stalled(): void {
    this.#target = Math.min(TARGET_MAX_S, this.#target + 0.02);
    this.#calmSteps = 0;
  }

  step(input: EdgeInput): EdgeOrder {
    this.#calm();
    const behind = input.end - input.position;
    if (behind > JUMP_S || input.position < input.start - 0.001 || behind < -0.5) {
      return { rate: 1, seekTo: Math.max(input.start, input.end - this.#target) };
    }
    const error = behind - this.#target;
    if (Math.abs(error) < 0.02) return { rate: 1, seekTo: null };
    const rate = Math.min(RATE_MAX, Math.max(RATE_MIN, 1 + error * 0.6));
    return { rate: Math.round(rate * 1000) / 1000, seekTo: null };
  }

  /** About half a minute of steps (4 a second) without a stall takes one notch back. */
  #calm(): void {
    this.#calmSteps += 1;
    if (this.#calmSteps < 120) return;
    this.#calmSteps = 0;
    this.#target = Math.max(TARGET_MIN_S, this.#target - 0.01);
  }
}
