// One camera of a group: its <video> follows the group's clock. Tickets are opened where something is recorded; a gap is told as one
// while the others go on.

import { correction, type GroupClock } from "./groupClock";
import type { WallMap } from "./wallMap";

export interface Span {
  from: number;
  to: number;
}

export interface OpenSpan {
  id: string;
  /** Gives the picture to the element; called once. The answer takes it away again. */
  attach(video: HTMLVideoElement, onError: () => void): () => void;
  /** Wall times of its first and last picture, ms. */
  starts: number;
  ends: number;
  /** Position of the first frame from the wish on, s. */
  startS: number;
  /** The wish, ms. */
  wish: number;
  map: WallMap;
  gaps: readonly Span[];
}

export type TileState =
  | { kind: "opening" }
  | { kind: "playing" }
  /** Nothing is recorded here; it goes on then, if at all. */
  | { kind: "gap"; until: number | null }
  | { kind: "trouble"; code: string };

export interface Source {
  /** The span to ask for at an instant, or null where nothing is recorded and when it goes on. Null altogether: not known yet. */
  find(wallMs: number): { span: Span | null; next: number | null } | null;
  open(span: Span): Promise<{ ok: true; span: OpenSpan } | { ok: false; code: string }>;
  close(id: string): void;
}

/** A frame position is aimed at a little behind its start, so that rounding never shows the one before, s. */
const INTO_FRAME_S = 0.002;
/** A seek while the clock runs aims ahead by what the last one took, but no further than this, s. */
const LEAD_MAX_S = 1.5;
/** After a failure the same span is not asked for again for so long, ms. */
const AGAIN_MS = 3000;

export class SyncTile {
  state: TileState = { kind: "opening" };
  /** How far the picture is from the group's clock at the last tick, s; null while it shows none. */
  driftS: number | null = null;
  frameS = 0.04;
  #open: OpenSpan | null = null;
  #detach: (() => void) | null = null;
  #opening = false;
  #failedAt: number | null = null;
  #turn = 0;
  #frame = 0;
  #shown: { mediaS: number; count: number } | null = null;
  #gone = false;
  /** How long the last seek under a running clock took, s. */
  #seekS = 0.1;
  #soughtAt: number | null = null;

  constructor(
    readonly video: HTMLVideoElement,
    readonly clock: GroupClock,
    readonly source: Source,
    readonly onState: () => void,
  ) {
    video.addEventListener("error", this.#onError);
    video.addEventListener("seeked", this.#onSeeked);
    this.#watch();
  }

  close(): void {
    this.#gone = true;
    this.video.removeEventListener("error", this.#onError);
    this.video.removeEventListener("seeked", this.#onSeeked);
    this.video.cancelVideoFrameCallback(this.#frame);
    this.#release();
  }

  /** Whether the group's clock needs not wait for it. */
  get ready(): boolean {
    if (this.state.kind === "gap" || this.state.kind === "trouble") return true;
    return this.#open !== null && !this.video.seeking && this.video.readyState >= 2;
  }

  /** A few times a second, and after every jump of the clock. */
  tick(): void {
    const wall = this.clock.wall();
    const open = this.#open;
    if (open !== null && wall >= open.starts && wall < open.ends) {
      const gap = open.gaps.find((one) => wall >= one.from && wall < one.to);
      if (gap === undefined) this.#follow(open, wall);
      else this.#stand({ kind: "gap", until: gap.to }, open.map.mediaOf(gap.to));
      return;
    }
    this.driftS = null;
    if (this.#opening) return;
    const found = this.source.find(wall);
    if (found === null) return;
    if (found.span === null) {
      this.#stand({ kind: "gap", until: found.next }, null);
      return;
    }
    if (this.#failedAt !== null && this.clock.now() - this.#failedAt < AGAIN_MS) return;
    void this.#ask(found.span);
  }

  async #ask(span: Span): Promise<void> {
    this.#turn += 1;
    const mine = this.#turn;
    this.#opening = true;
    this.#release();
    this.#say({ kind: "opening" });
    const answer = await this.source.open(span);
    this.#opening = false;
    if (this.#gone || mine !== this.#turn) {
      if (answer.ok) this.source.close(answer.span.id);
      return;
    }
    if (!answer.ok) {
      this.#failedAt = this.clock.now();
      this.#say({ kind: "trouble", code: answer.code });
      return;
    }
    this.#failedAt = null;
    this.#open = answer.span;
    this.video.dataset["clock"] = JSON.stringify(answer.span.map.entries());
    this.#detach = answer.span.attach(this.video, this.#onError);
    this.video.currentTime = answer.span.startS + INTO_FRAME_S;
    this.#say({ kind: "playing" });
    this.tick();
  }

  #follow(open: OpenSpan, wall: number): void {
    this.#say({ kind: "playing" });
    const { video, clock } = this;
    // The very start is known to the frame; elsewhere the clock of the file tells.
    const target = wall === open.wish ? open.startS : open.map.mediaOf(wall);
    if (video.readyState < 1 || video.seeking) return;
    const drift = video.currentTime - target;
    this.driftS = drift;
    if (!clock.running) {
      if (!video.paused) video.pause();
      if (Math.abs(drift - INTO_FRAME_S) > 0.001) video.currentTime = target + INTO_FRAME_S;
      return;
    }
    const act = correction(drift, clock.rate);
    if (act === "jump") {
      this.#soughtAt = clock.now();
      video.currentTime = target + Math.min(LEAD_MAX_S, this.#seekS) * clock.rate + INTO_FRAME_S;
    } else if (video.playbackRate !== act.rate) video.playbackRate = act.rate;
    if (video.paused) video.play().catch(() => undefined);
  }

  /** The picture stands still; it waits where it will go on. */
  #stand(state: TileState, positionS: number | null): void {
    const { video } = this;
    this.driftS = null;
    if (!video.paused) video.pause();
    const isElsewhere = positionS !== null && !video.seeking && Math.abs(video.currentTime - positionS) > 0.05;
    if (isElsewhere && video.readyState >= 1) video.currentTime = positionS + INTO_FRAME_S;
    this.#say(state);
  }

  #say(state: TileState): void {
    const before = this.state;
    const same =
      before.kind === state.kind &&
      (state.kind !== "gap" || (before.kind === "gap" && before.until === state.until)) &&
      (state.kind !== "trouble" || (before.kind === "trouble" && before.code === state.code));
    this.state = state;
    if (!same) this.onState();
  }

  #release(): void {
    if (this.#open === null) return;
    // The element lets go of its source before the server is told to end it, or the browser reports a torn answer.
    this.#detach?.();
    this.#detach = null;
    this.source.close(this.#open.id);
    this.#open = null;
  }

  readonly #onSeeked = (): void => {
    if (this.#soughtAt !== null) this.#seekS = (this.clock.now() - this.#soughtAt) / 1000;
    this.#soughtAt = null;
  };

  readonly #onError = (): void => {
    if (this.#open === null) return;
    this.#release();
    this.#failedAt = this.clock.now();
    this.#say({ kind: "trouble", code: "playback_failed" });
  };

  /** Learns how long a frame is from neighbours that were shown. */
  #watch(): void {
    this.#frame = this.video.requestVideoFrameCallback((_now, meta) => {
      const before = this.#shown;
      if (before !== null && meta.presentedFrames - before.count === 1 && this.clock.running && this.clock.rate <= 1) {
        const length = meta.mediaTime - before.mediaS;
        if (length > 0.005 && length < 0.5) this.frameS = length;
      }
      this.#shown = { mediaS: meta.mediaTime, count: meta.presentedFrames };
      if (!this.#gone) this.#watch();
    });
  }
}
