// Pictures for scrubbing: single key frames of a preview, decoded one by one. Only the newest wish is followed.

import { avcConfig, samplesOf } from "./boxes";

export interface PreviewTrack {
  /** When each picture was taken, ms since 1970, ascending. */
  at: readonly number[];
  /** Which init segment each needs. */
  init: readonly number[];
  /** `video/mp4; codecs="…"`. */
  mime: string;
  /** Fetches `init-1.mp4`, `0.m4s`, …; null when it can't be had. */
  load(name: string): Promise<ArrayBuffer | null>;
}

/** Small pictures that are kept: about 10 MB. */
const KEPT = 120;
const WIDTH = 224;

/** Number of the last picture at or before an instant, or of the first; -1: there is none. */
export function pictureAt(at: readonly number[], ms: number): number {
  let low = 0;
  let high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((at[middle] ?? Infinity) <= ms) low = middle + 1;
    else high = middle;
  }
  return at.length === 0 ? -1 : Math.max(0, low - 1);
}

/** Codec strings of a MIME type, in the order of the init segments. */
export function codecsOf(mime: string): string[] {
  return /codecs="([^"]*)"/.exec(mime)?.[1]?.split(",") ?? [];
}

export class PreviewPictures {
  readonly #kept = new Map<number, ImageBitmap>();
  readonly #inits = new Map<number, ArrayBuffer | null>();
  #busy = false;
  #next: { number: number; done: (picture: ImageBitmap, at: number) => void } | null = null;
  #closed = false;

  constructor(readonly track: PreviewTrack) {}

  /** Whether this browser decodes single frames at all. */
  static get possible(): boolean {
    return typeof VideoDecoder === "function";
  }

  close(): void {
    this.#closed = true;
    this.#next = null;
    for (const picture of this.#kept.values()) picture.close();
    this.#kept.clear();
  }

  /** Asks for the picture at an instant; an older wish that has not begun is dropped. */
  want(ms: number, done: (picture: ImageBitmap, at: number) => void): void {
    const number = pictureAt(this.track.at, ms);
    if (number < 0) return;
    this.#next = { number, done };
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#next !== null && !this.#closed) {
      const { number, done } = this.#next;
      this.#next = null;
      const picture = this.#kept.get(number) ?? (await this.#fetch(number).catch(() => null));
      if (picture === null || this.#closed) continue;
      this.#keep(number, picture);
      done(picture, this.track.at[number] ?? 0);
    }
    this.#busy = false;
  }

  #keep(number: number, picture: ImageBitmap): void {
    this.#kept.delete(number);
    this.#kept.set(number, picture);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > KEPT && !oldest.done) {
      this.#kept.get(oldest.value)?.close();
      this.#kept.delete(oldest.value);
    }
  }

  async #fetch(number: number): Promise<ImageBitmap | null> {
    const set = this.track.init[number] ?? 1;
    if (!this.#inits.has(set)) this.#inits.set(set, await this.track.load(`init-${set}.mp4`));
    const init = this.#inits.get(set) ?? null;
    const part = await this.track.load(`${number}.m4s`);
    const sample = part === null ? null : samplesOf(part);
    const config = init === null ? null : avcConfig(init);
    const codecs = codecsOf(this.track.mime);
    const codec = codecs[set - 1] ?? codecs[0];
    if (sample === null || config === null || codec === undefined) return null;
    return decode({ codec, description: config, optimizeForLatency: true }, sample);
  }
}

/** One key frame by itself: the flush makes the decoder give it out. */
async function decode(config: VideoDecoderConfig, data: Uint8Array): Promise<ImageBitmap | null> {
  const frames: VideoFrame[] = [];
  const decoder = new VideoDecoder({ output: (frame) => frames.push(frame), error: () => undefined });
  try {
    decoder.configure(config);
    decoder.decode(new EncodedVideoChunk({ type: "key", timestamp: 0, data }));
    await decoder.flush();
    const frame = frames[0];
    if (frame === undefined) return null;
    const height = Math.max(1, Math.round((WIDTH * frame.displayHeight) / frame.displayWidth));
    return await createImageBitmap(frame, { resizeWidth: WIDTH, resizeHeight: height });
  } finally {
    for (const frame of frames) frame.close();
    if (decoder.state !== "closed") decoder.close();
  }
}
