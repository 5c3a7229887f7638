// Plays a virtual file by Media Source Extensions from short requests, a few seconds ahead of the position. A browser opens six connections
// to one host and a <video> with an address holds on to one or two: several cameras would wait for each other.

import { headOf, type FileHead } from "./boxes";

export interface RangedFile {
  mime: string;
  size: number;
  /** Bytes [start, end); null when they can't be had. */
  load(start: number, end: number, signal: AbortSignal): Promise<ArrayBuffer | null>;
}

/** Index and init segment of 15 minutes fit: four fragments a second at most, 12 bytes each. */
const HEAD_BYTES = 64 * 1024;
/** Seconds loaded ahead at single speed, and kept behind. */
const AHEAD_S = 8;
const BEHIND_S = 20;
/** Bytes of one request; a single fragment may be larger. */
const RUN_BYTES = 1024 * 1024;
/** A hole between two fragments that counts as none, s. */
const TOUCH_S = 0.15;

/** Whether a file can be played like this: one codec, known to the browser. */
export function canFeed(mime: string): boolean {
  return !/codecs="[^"]*,/.test(mime) && MediaSource.isTypeSupported(mime);
}

/** Which fragments to load next, [from, to): the first at or after `at` whose time is not there yet; null when enough is there. */
export function nextRun(
  head: FileHead,
  buffered: readonly { start: number; end: number }[],
  at: number,
  aheadS: number,
): { from: number; to: number } | null {
  let reach = at;
  for (const range of buffered) if (range.start <= reach + TOUCH_S && range.end > reach) reach = range.end;
  if (reach >= at + aheadS) return null;
  let from = head.parts.findIndex((part) => part.endS > reach + 0.001);
  if (from < 0) return null;
  // Nothing before it is there: decoding begins at a key frame.
  if (reach === at) while (from > 0 && head.parts[from]?.isKey === false) from -= 1;
  let [to, size] = [from, 0];
  for (let part = head.parts[to]; part !== undefined; part = head.parts[to]) {
    if (to > from && (size + part.size > RUN_BYTES || part.startS > at + aheadS)) break;
    size += part.size;
    to += 1;
  }
  return { from, to };
}

export class RangeFeed {
  readonly #source = new MediaSource();
  readonly #url: string;
  readonly #stop = new AbortController();
  #buffer: SourceBuffer | null = null;
  #head: FileHead | null = null;
  #busy = false;

  constructor(
    readonly video: HTMLVideoElement,
    readonly file: RangedFile,
    readonly onError: () => void,
  ) {
    this.#url = URL.createObjectURL(this.#source);
    this.#source.addEventListener("sourceopen", () => void this.#begin(), { once: true });
    for (const event of ["timeupdate", "seeking", "waiting"]) video.addEventListener(event, this.#pump);
    video.src = this.#url;
  }

  close(): void {
    this.#stop.abort();
    for (const event of ["timeupdate", "seeking", "waiting"]) this.video.removeEventListener(event, this.#pump);
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.#url);
  }

  async #begin(): Promise<void> {
    try {
      const bytes = await this.#load(0, Math.min(HEAD_BYTES, this.file.size));
      const head = bytes === null ? null : headOf(bytes);
      if (bytes === null || head === null || this.#stop.signal.aborted) {
        this.#fail();
        return;
      }
      this.#head = head;
      this.#source.duration = head.parts.at(-1)?.endS ?? 0;
      this.#buffer = this.#source.addSourceBuffer(this.file.mime);
      await this.#append(bytes.slice(0, head.initEnd));
      this.#pump();
    } catch {
      this.#fail();
    }
  }

  readonly #pump = (): void => {
    if (!this.#busy && this.#head !== null) void this.#fill();
  };

  async #fill(): Promise<void> {
    this.#busy = true;
    try {
      for (;;) {
        const [head, buffer] = [this.#head, this.#buffer];
        if (head === null || buffer === null || this.#stop.signal.aborted) break;
        const at = this.video.currentTime;
        const run = nextRun(head, rangesOf(buffer), at, AHEAD_S * Math.max(1, this.video.playbackRate));
        if (run === null) break;
        const [first, last] = [head.parts[run.from], head.parts[run.to - 1]];
        if (first === undefined || last === undefined) break;
        const bytes = await this.#load(first.at, last.at + last.size);
        if (bytes === null) {
          this.#fail();
          break;
        }
        await this.#append(bytes);
        await this.#trim();
        if (run.to === head.parts.length && this.#source.readyState === "open") this.#source.endOfStream();
      }
    } catch {
      this.#fail();
    }
    this.#busy = false;
  }

  #load(start: number, end: number): Promise<ArrayBuffer | null> {
    return this.file.load(start, end, this.#stop.signal);
  }

  #append(bytes: ArrayBuffer): Promise<void> {
    return this.#change((buffer) => buffer.appendBuffer(bytes));
  }

  /** Drops what is far behind. */
  async #trim(): Promise<void> {
    const until = this.video.currentTime - BEHIND_S;
    const first = this.#buffer === null ? undefined : rangesOf(this.#buffer)[0];
    if (first !== undefined && until - first.start > BEHIND_S) await this.#change((buffer) => buffer.remove(0, until));
  }

  #change(act: (buffer: SourceBuffer) => void): Promise<void> {
    const buffer = this.#buffer;
    if (buffer === null || this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((done, failed) => {
      buffer.addEventListener("updateend", () => done(), { once: true });
      buffer.addEventListener("error", () => failed(new Error("the buffer refused")), { once: true });
      act(buffer);
    });
  }

  #fail(): void {
    if (!this.#stop.signal.aborted) this.onError();
  }
}

function rangesOf(buffer: SourceBuffer): { start: number; end: number }[] {
  const { buffered } = buffer;
  return Array.from({ length: buffered.length }, (_one, index) => ({
    start: buffered.start(index),
    end: buffered.end(index),
  }));
}
