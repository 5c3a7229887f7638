// Where a live <video> stands: holds it near the newest frame, and tells which captured frame is on screen and how old it is.

import { CaptureIndex } from "./freshness";
import { LiveEdge } from "./liveEdge";
import type { WallClock } from "./wallClock";

export interface LatencySample {
  captureUs: number;
  displayUs: number;
  latencyUs: number;
}

/** What measurements may read; no data of persons. */
export interface PlayheadCounts {
  /** Frames decoded, and of those not painted in time, by the element's own count. */
  decoded: number;
  lost: number;
  seeks: number;
  stalls: number;
  targetS: number;
}

const SAMPLE_BOUND = 4000;

export class Playhead {
  readonly samples: LatencySample[] = [];
  readonly captures = new CaptureIndex();
  /**
   * Measure each frame. Otherwise one frame a tick is looked at: asking for every frame makes the page's main thread run
   * for each frame of each tile.
   */
  everyFrame = false;
  #shownUs: number | null = null;
  #ageUs = 0;
  #isFresh = false;
  #watching = false;
  #frameHandle = 0;
  #started = false;
  #seeks = 0;
  #stalls = 0;
  #before = { frames: 0, lost: 0 };
  readonly #edge = new LiveEdge();

  constructor(
    readonly video: HTMLVideoElement,
    readonly clock: WallClock,
  ) {
    video.addEventListener("waiting", this.#onWaiting);
    this.#watchFrame();
  }

  close(): void {
    this.video.removeEventListener("waiting", this.#onWaiting);
    this.video.cancelVideoFrameCallback(this.#frameHandle);
    this.#watching = true;
  }

  /** The source of the element is given up; the last picture may stay on screen. */
  sourceGone(): void {
    this.#started = false;
    this.#before = { frames: 0, lost: 0 };
    this.captures.clear();
  }

  /** Nothing is on screen any more. */
  cleared(): void {
    this.#shownUs = null;
  }

  /** Capture instant of the newest shown frame, µs; null before the first. */
  get shownUs(): number | null {
    return this.#shownUs;
  }

  counts(): PlayheadCounts {
    const quality = this.video.getVideoPlaybackQuality();
    return {
      decoded: quality.totalVideoFrames,
      lost: quality.droppedVideoFrames,
      seeks: this.#seeks,
      stalls: this.#stalls,
      targetS: this.#edge.target,
    };
  }

  /** Media went into the buffer. Playback starts at once; after that the ticks do. */
  appended(): void {
    if (!this.#started) this.#follow();
  }

  /**
   * A few times a second. Returns the age of the picture on screen, µs: of its newest frame when that was shown, and, with
   * none shown since the last call, growing with the clock. Null before the first frame.
   */
  tick(clockOffsetUs: number): number | null {
    this.#follow();
    if (!this.video.checkVisibility() || document.hidden) {
      // No frame call-backs while not painted: take the play position instead.
      const captureUs = this.captures.at(this.video.currentTime, 0.1);
      if (captureUs !== null && captureUs !== this.#shownUs) this.#shown(captureUs, this.clock.nowUs());
    }
    const now = this.clock.nowUs();
    const ageUs = this.#shownUs === null ? null : (this.#isFresh ? this.#ageUs : now - this.#shownUs) - clockOffsetUs;
    this.#isFresh = false;
    this.#watchFrame();
    return ageUs;
  }

  readonly #onWaiting = (): void => {
    if (this.#shownUs === null) return;
    this.#stalls += 1;
    this.#edge.stalled();
  };

  #shown(captureUs: number, displayUs: number): void {
    this.#shownUs = captureUs;
    this.#ageUs = displayUs - captureUs;
    this.#isFresh = true;
  }

  #follow(): void {
    const ranges = this.video.buffered;
    if (ranges.length === 0) return;
    this.#started = true;
    const last = ranges.length - 1;
    const quality = this.video.getVideoPlaybackQuality();
    const before = this.#before;
    this.#before = { frames: quality.totalVideoFrames, lost: quality.droppedVideoFrames };
    const order = this.#edge.step({
      position: this.video.currentTime,
      start: ranges.start(last),
      end: ranges.end(last),
      frames: Math.max(0, quality.totalVideoFrames - before.frames),
      // Frames that a hidden page does not paint are no sign of a slow one.
      lost: document.hidden ? 0 : Math.max(0, quality.droppedVideoFrames - before.lost),
    });
    if (order.seekTo !== null) {
      this.#seeks += 1;
      this.video.currentTime = order.seekTo;
    }
    if (this.video.playbackRate !== order.rate) this.video.playbackRate = order.rate;
    if (this.video.paused) this.video.play().catch(() => undefined);
  }

  #watchFrame(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#frameHandle = this.video.requestVideoFrameCallback((_now, meta) => {
      this.#watching = false;
      const captureUs = this.captures.at(meta.mediaTime);
      if (captureUs !== null) {
        const displayUs = this.clock.fromPerformance(meta.expectedDisplayTime);
        this.#shown(captureUs, displayUs);
        this.samples.push({ captureUs, displayUs, latencyUs: displayUs - captureUs });
        if (this.samples.length > SAMPLE_BOUND) this.samples.splice(0, SAMPLE_BOUND / 2);
      }
      if (this.everyFrame) this.#watchFrame();
    });
  }
}
