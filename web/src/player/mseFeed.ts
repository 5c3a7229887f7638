// Owner of one MediaSource: appends init segments and fragments in order, keeps a few seconds behind, moves times so
// that media time grows from 0 without holes over new init segments and discontinuities.

import { firstPresentationTicks, timescaleOf } from "./boxes";

/** Seconds kept behind the play position. */
const KEEP_S = 5;
/** More waiting fragments than this means that the browser can't keep up: the feed starts over at a key frame. */
export const QUEUE_BOUND = 250;

type Job = { kind: "init"; bytes: ArrayBuffer; mime: string } | { kind: "media"; bytes: ArrayBuffer; fresh: boolean };

export interface FedFragment {
  /** Presentation time on the element's clock, s. */
  mediaS: number;
}

export class MseFeed {
  readonly #source = new MediaSource();
  readonly #url: string;
  #buffer: SourceBuffer | null = null;
  #mime = "";
  #queue: Job[] = [];
  #timescale = 90_000;
  /** Added to a fragment's own time to get element time, s; null until the next fragment sets it. */
  #offset: number | null = null;
  #lastEnd = 0;
  #dead = false;

  constructor(
    readonly video: HTMLVideoElement,
    readonly onError: () => void,
    readonly onAppended: () => void,
  ) {
    this.#url = URL.createObjectURL(this.#source);
    video.src = this.#url;
    this.#source.addEventListener("sourceopen", () => this.#next());
  }

  init(bytes: ArrayBuffer, mime: string): void {
    this.#timescale = timescaleOf(bytes) ?? this.#timescale;
    this.#offset = null;
    this.#queue.push({ kind: "init", bytes, mime });
    this.#next();
  }

  /** Returns the element time at which the fragment will show, or null when it can't be used. */
  fragment(bytes: ArrayBuffer, headerBytes: number, discontinuity: boolean): FedFragment | null {
    const ticks = firstPresentationTicks(bytes, headerBytes);
    if (ticks === null || this.#queue.length > QUEUE_BOUND) return null;
    const own = ticks / this.#timescale;
    let fresh = false;
    if (this.#offset === null || discontinuity) {
      this.#offset = this.#lastEnd - own;
      fresh = true;
    }
    const mediaS = own + this.#offset;
    this.#lastEnd = Math.max(this.#lastEnd, mediaS + 0.04);
    this.#queue.push({ kind: "media", bytes: bytes.slice(headerBytes), fresh });
    if (fresh) this.#pendingOffsets.push(this.#offset);
    this.#next();
    return { mediaS };
  }

  readonly #pendingOffsets: number[] = [];

  close(): void {
    this.#dead = true;
    this.#queue = [];
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.#url);
  }

  #next(): void {
    if (this.#dead || this.#source.readyState !== "open") return;
    if (this.#buffer?.updating === true) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    try {
      this.#run(job);
    } catch {
      this.#fail();
    }
  }

  #run(job: Job): void {
    if (job.kind === "init") {
      this.#prepare(job.mime).appendBuffer(job.bytes);
      return;
    }
    const buffer = this.#buffer;
    if (buffer === null) {
      this.#next();
      return;
    }
    if (job.fresh) {
      const offset = this.#pendingOffsets.shift();
      if (offset !== undefined) buffer.timestampOffset = offset;
    }
    buffer.appendBuffer(job.bytes);
  }

  #prepare(mime: string): SourceBuffer {
    if (this.#buffer === null) {
      const buffer = this.#source.addSourceBuffer(mime);
      buffer.mode = "segments";
      buffer.addEventListener("updateend", () => {
        this.onAppended();
        if (!this.#trim()) this.#next();
      });
      buffer.addEventListener("error", () => this.#fail());
      this.#buffer = buffer;
    } else if (mime !== this.#mime) {
      this.#buffer.changeType(mime);
    }
    this.#mime = mime;
    return this.#buffer;
  }

  /** Drops what is far behind; true when a removal has started (its end goes on with the queue). */
  #trim(): boolean {
    const buffer = this.#buffer;
    if (this.#dead || buffer === null || buffer.updating || buffer.buffered.length === 0) return false;
    const start = buffer.buffered.start(0);
    const until = this.video.currentTime - KEEP_S;
    if (until - start < KEEP_S) return false;
    try {
      buffer.remove(start, until);
      return true;
    } catch {
      return false;
    }
  }

  #fail(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.onError();
  }
}
