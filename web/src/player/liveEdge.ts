// Keeps playback close behind the newest frame by small changes of speed. It jumps only when far behind: a jump makes the
// browser decode again from the last key frame, which costs most exactly when the desk is already short of time.

/** Where playback is held behind the newest frame, s: on a calm desk, and at most after stalls and lost frames. */
export const TARGET_MIN_S = 0.08;
export const TARGET_MAX_S = 0.3;
export const RATE_MIN = 0.95;
/** Up to here while less than half a second off, so that motion looks natural … */
export const RATE_MAX = 1.08;
/** … and up to here when farther behind. */
export const RATE_HURRY = 1.5;
const HURRY_S = 0.5;
/** Farther behind than this: jump. */
export const JUMP_S = 4;
/** Nearer to the target than this counts as there; a correction under way goes on to `DONE_S`. */
const NEAR_S = 0.03;
const DONE_S = 0.01;
const STALL_STEP_S = 0.02;
const LOST_STEP_S = 0.04;
const CALM_STEP_S = 0.01;
/** Steps (4 a second) without trouble that take one notch back: about five seconds. */
const CALM_STEPS = 20;
/** Steps whose frames are counted together, and the share (one in so many) of lost ones that asks for more patience. */
const COUNT_STEPS = 8;
const LOST_SHARE = 10;

export interface EdgeInput {
  /** Play position, s. */
  position: number;
  /** First and last buffered instant of the newest range, s. */
  start: number;
  end: number;
  /** Frames decoded, and of those not shown in time, since the last step. */
  frames?: number;
  lost?: number;
}

export interface EdgeOrder {
  rate: number;
  /** New position, or null to stay. */
  seekTo: number | null;
}

/** Each stall, and each two seconds with many lost frames, moves the target away from the edge, calm moves it back. */
export class LiveEdge {
  #target = TARGET_MIN_S;
  #calmSteps = 0;
  #correcting = false;
  #counted = { steps: 0, frames: 0, lost: 0 };

  get target(): number {
    return this.#target;
  }

  /** The element ran dry. */
  stalled(): void {
    this.#away(STALL_STEP_S);
  }

  /** To be called a few times a second, not per frame. */
  step(input: EdgeInput): EdgeOrder {
    this.#calm();
    this.#count(input.frames ?? 0, input.lost ?? 0);
    const behind = input.end - input.position;
    if (behind > JUMP_S || input.position < input.start - 0.001 || behind < -0.5) {
      this.#correcting = false;
      return { rate: 1, seekTo: Math.max(input.start, input.end - this.#target) };
    }
    const error = behind - this.#target;
    this.#correcting = Math.abs(error) > (this.#correcting ? DONE_S : NEAR_S);
    if (!this.#correcting) return { rate: 1, seekTo: null };
    const most = error > HURRY_S ? RATE_HURRY : RATE_MAX;
    const rate = Math.min(most, Math.max(RATE_MIN, 1 + error * 0.6));
    return { rate: Math.round(rate * 100) / 100, seekTo: null };
  }

  #count(frames: number, lost: number): void {
    const sum = this.#counted;
    sum.steps += 1;
    sum.frames += frames;
    sum.lost += lost;
    if (sum.steps < COUNT_STEPS) return;
    if (sum.lost * LOST_SHARE > sum.frames && sum.lost > 0) this.#away(LOST_STEP_S);
    this.#counted = { steps: 0, frames: 0, lost: 0 };
  }

  #away(by: number): void {
    this.#target = Math.min(TARGET_MAX_S, this.#target + by);
    this.#calmSteps = 0;
  }

  #calm(): void {
    this.#calmSteps += 1;
    if (this.#calmSteps < CALM_STEPS) return;
    this.#calmSteps = 0;
    this.#target = Math.max(TARGET_MIN_S, this.#target - CALM_STEP_S);
  }
}
