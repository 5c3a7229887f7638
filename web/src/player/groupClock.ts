// One playhead for several cameras: wall time that runs at a rate, stands, or waits for pictures.

export class GroupClock {
  #wallMs: number;
  #sinceMs: number;
  #rate = 1;
  #playing = false;
  #held = false;

  /** `now`: a monotonic clock, ms. */
  constructor(
    wallMs: number,
    readonly now: () => number,
  ) {
    this.#wallMs = wallMs;
    this.#sinceMs = now();
  }

  wall(): number {
    return this.running ? this.#wallMs + (this.now() - this.#sinceMs) * this.#rate : this.#wallMs;
  }

  get rate(): number {
    return this.#rate;
  }

  /** What the operator asked for. */
  get playing(): boolean {
    return this.#playing;
  }

  /** Whether it moves now. */
  get running(): boolean {
    return this.#playing && !this.#held;
  }

  play(playing: boolean): void {
    this.#settle();
    this.#playing = playing;
  }

  /** Stands until every camera has its picture. */
  hold(held: boolean): void {
    this.#settle();
    this.#held = held;
  }

  setRate(rate: number): void {
    this.#settle();
    this.#rate = rate;
  }

  go(wallMs: number): void {
    this.#wallMs = wallMs;
    this.#sinceMs = this.now();
  }

  #settle(): void {
    this.#wallMs = this.wall();
    this.#sinceMs = this.now();
  }
}

/** Beyond this a camera jumps instead of hurrying, s at single speed. */
const JUMP_S = 0.6;
/** Nearer than this it is left alone, s. */
const NEAR_S = 0.012;
/** A correction changes the speed by at most this share. */
const SHARE_MAX = 0.25;
/** Share of the speed for each second of drift: half a second takes a small drift out. */
const GAIN = 2;

/** What a picture that is off by `driftS` (positive: ahead) should do. */
export function correction(driftS: number, rate: number): { rate: number } | "jump" {
  if (Math.abs(driftS) > JUMP_S * Math.max(1, rate)) return "jump";
  if (Math.abs(driftS) < NEAR_S) return { rate };
  const share = Math.max(-SHARE_MAX, Math.min(SHARE_MAX, (GAIN * driftS) / Math.max(1, rate)));
  return { rate: rate * (1 - share) };
}
