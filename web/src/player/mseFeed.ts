// Owner of one MediaSource: appends init segments and fragments in order, keeps a few seconds behind, moves times so
// that media time grows from 0 without holes over new init segments and discontinuities.

import { firstPresentationTicks, timescaleOf } from "./boxes";

/** Seconds kept behind the play position. */
const KEEP_S = 5;
/** More waiting fragments than this means that the browser can't keep up: the feed starts over at a key frame. */
export const QUEUE_BOUND = 250;

/** Fragments that were waiting go into the buffer by one append, at most this many bytes (a key frame may be larger). */
const BATCH_BYTES = 512 * 1024;

type Job =
  | { kind: "init"; bytes: ArrayBuffer; mime: string }
  /** `offset`: moves the times from this fragment on, s. */
  | { kind: "media"; bytes: Uint8Array<ArrayBuffer>; offset: number | null };

/** One run of waiting fragments that may be appended together: the first, and those after it up to a new offset or init. */
export function takeBatch(queue: Job[]): Uint8Array<ArrayBuffer>[] {
  const out: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (;;) {
    const job = queue[0];
    if (job === undefined || job.kind !== "media") return out;
    if (out.length > 0 && (job.offset !== null || size + job.bytes.byteLength > BATCH_BYTES)) return out;
    queue.shift();
    out.push(job.bytes);
    size += job.bytes.byteLength;
  }
}

function together(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined) return only;
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

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
  /** Appends of media so far; fewer than fragments when several went together. */
  appends = 0;

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
    const fresh = this.#offset === null || discontinuity;
    const offset = fresh || this.#offset === null ? this.#lastEnd - own : this.#offset;
    this.#offset = offset;
    const mediaS = own + offset;
    this.#lastEnd = Math.max(this.#lastEnd, mediaS + 0.04);
    // A view, no copy: the header in front of the media stays where it is.
    this.#queue.push({ kind: "media", bytes: new Uint8Array(bytes, headerBytes), offset: fresh ? offset : null });
    this.#next();
    return { mediaS };
  }

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
    const job = this.#queue[0];
    if (job === undefined) return;
    try {
      this.#run(job);
    } catch {
      this.#fail();
    }
  }

  #run(job: Job): void {
    if (job.kind === "init") {
      this.#queue.shift();
      this.#prepare(job.mime).appendBuffer(job.bytes);
      return;
    }
    const parts = takeBatch(this.#queue);
    const buffer = this.#buffer;
    if (buffer === null) {
      this.#next();
      return;
    }
    if (job.offset !== null) buffer.timestampOffset = job.offset;
    this.appends += 1;
    buffer.appendBuffer(together(parts));
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
