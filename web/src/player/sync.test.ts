import { describe, expect, it } from "vitest";
import { avcConfig, headOf, samplesOf } from "./boxes";
import { Group } from "./group";
import { correction, GroupClock } from "./groupClock";
import { codecsOf, pictureAt } from "./previewPictures";
import { nextRun } from "./rangeFeed";
import type { Source, Span } from "./syncTile";
import { WallMap } from "./wallMap";

describe("the time line of a file", () => {
  const map = new WallMap([
    { mediaS: 0.08, wallMs: 1_000_000 },
    { mediaS: 10, wallMs: 1_020_000 },
  ]);
  it.each([
    [0.08, 1_000_000],
    [2.08, 1_002_000],
    [10, 1_020_000],
    [12.5, 1_022_500],
    [0, 999_920],
  ])("at %f s is %f ms", (mediaS, wallMs) => expect(map.wallOf(mediaS)).toBeCloseTo(wallMs, 6));
  it.each([
    [1_000_000, 0.08],
    [1_002_000, 2.08],
    [1_015_000, 10],
    [1_020_000, 10],
    [1_022_500, 12.5],
    [900_000, 0.08],
  ])("shows %f ms at %f s", (wallMs, mediaS) => expect(map.mediaOf(wallMs)).toBeCloseTo(mediaS, 6));
});

describe("the clock of a group", () => {
  it("runs at its rate, stands, waits and jumps", () => {
    let now = 0;
    const clock = new GroupClock(1_000, () => now);
    now += 100;
    expect(clock.wall()).toBe(1_000);
    clock.play(true);
    now += 100;
    expect(clock.wall()).toBe(1_100);
    clock.setRate(8);
    now += 100;
    expect(clock.wall()).toBe(1_900);
    clock.hold(true);
    now += 5_000;
    expect([clock.wall(), clock.playing, clock.running]).toEqual([1_900, true, false]);
    clock.go(50);
    clock.hold(false);
    now += 10;
    expect(clock.wall()).toBe(130);
    clock.play(false);
    now += 10;
    expect(clock.wall()).toBe(130);
  });
  it.each([
    [0.005, 1, { rate: 1 }],
    [0.1, 1, { rate: 0.8 }],
    [-0.1, 1, { rate: 1.2 }],
    [0.5, 1, { rate: 0.75 }],
    [-0.7, 1, "jump"],
    [-2, 4, { rate: 5 }],
    [3, 4, "jump"],
  ])("a picture off by %f s at %f× gets %o", (drift, rate, wanted) => expect(correction(drift, rate)).toEqual(wanted));
});

describe("pictures of a preview", () => {
  it.each([
    [[], 5, -1],
    [[10, 20, 30], 5, 0],
    [[10, 20, 30], 10, 0],
    [[10, 20, 30], 29, 1],
    [[10, 20, 30], 99, 2],
  ])("of %o at %f is number %f", (at, ms, wanted) => expect(pictureAt(at, ms)).toBe(wanted));
  it("codecs are read from the type", () => {
    expect(codecsOf('video/mp4; codecs="avc1.64001f,avc1.640028"')).toEqual(["avc1.64001f", "avc1.640028"]);
    expect(codecsOf("video/mp4")).toEqual([]);
  });
});

/** An ISO BMFF box. */
function box(type: string, ...parts: readonly (readonly number[])[]): number[] {
  const body = parts.flat();
  const size = body.length + 8;
  return [size >> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255, ...new TextEncoder().encode(type), ...body];
}

describe("boxes of a preview", () => {
  const entry = box("avc1", new Array<number>(78).fill(0), box("avcC", [1, 100, 0, 31]));
  const stbl = box("stbl", box("stsd", [0, 0, 0, 0, 0, 0, 0, 1], entry));
  const init = box("moov", box("trak", box("mdia", box("minf", stbl))));
  const bytes = (list: readonly number[]): ArrayBuffer => new Uint8Array(list).buffer;
  it("give the configuration and the sample", () => {
    expect([...(avcConfig(bytes(init)) ?? [])]).toEqual([1, 100, 0, 31]);
    const part = [...box("moof", [1, 2, 3]), ...box("mdat", [9, 8, 7])];
    expect([...(samplesOf(bytes(part)) ?? [])]).toEqual([9, 8, 7]);
  });
  it("survive every cut and other boxes", () => {
    for (let length = 0; length < init.length; length += 1) expect(avcConfig(bytes(init.slice(0, length)))).toBeNull();
    expect(samplesOf(bytes(box("moof", [1])))).toBeNull();
  });
});

/** A <video> that plays when told to, as the tests' clock goes. */
class FakeVideo extends EventTarget {
  dataset: Record<string, string> = {};
  readyState = 4;
  seeking = false;
  paused = true;
  playbackRate = 1;
  currentTime = 0;
  #src = "";
  loads = 0;
  get src(): string {
    return this.#src;
  }
  set src(url: string) {
    this.#src = url;
    this.loads += 1;
    this.currentTime = 0;
  }
  removeAttribute(): void {
    this.#src = "";
  }
  load(): void {
    this.paused = true;
  }
  play(): Promise<void> {
    this.paused = false;
    return Promise.resolve();
  }
  pause(): void {
    this.paused = true;
  }
  requestVideoFrameCallback(): number {
    return 0;
  }
  cancelVideoFrameCallback(): void {
    // Nothing was asked for.
  }
  pass(ms: number): void {
    if (!this.paused) this.currentTime += (ms / 1000) * this.playbackRate;
  }
}

let opened = 0;
/** Footage of a camera: spans on the wall clock; files begin 1 s before what was asked for. */
function footage(spans: readonly Span[], closed: string[]): Source {
  return {
    find(wallMs) {
      const span = spans.find((one) => wallMs >= one.from && wallMs < one.to);
      const next = spans.find((one) => one.from > wallMs);
      return span === undefined
        ? { span: null, next: next?.from ?? null }
        : { span: { from: wallMs, to: span.to }, next: null };
    },
    open(span) {
      const attach = (video: HTMLVideoElement) => {
        video.src = `/${span.from}`;
        return () => video.load();
      };
      const starts = span.from - 1000;
      const map = new WallMap([{ mediaS: 0, wallMs: starts }]);
      const id = `${opened++}`;
      return Promise.resolve({
        ok: true,
        span: { id, attach, starts, ends: span.to, startS: 1, wish: span.from, map, gaps: [] },
      });
    },
    close: (id) => void closed.push(id),
  };
}

describe("several cameras", () => {
  it("go together, tell their gaps, step by frames, and leave nothing open", async () => {
    let now = 0;
    const closed: string[] = [];
    const group = new Group(
      10_000,
      () => now,
      () => undefined,
    );
    const [a, b] = [new FakeVideo(), new FakeVideo()];
    const tiles: [FakeVideo, string, Span[]][] = [
      [a, "a", [{ from: 0, to: 60_000 }]],
      [
        b,
        "b",
        [
          { from: 0, to: 12_000 },
          { from: 15_000, to: 40_000 },
        ],
      ],
    ];
    for (const [video, id, spans] of tiles) {
      group.add(id, video as unknown as HTMLVideoElement, footage(spans, closed));
    }
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 100) {
        now += 100;
        for (const [video] of tiles) video.pass(100);
        group.tick();
        await Promise.resolve();
        await Promise.resolve();
      }
    };
    await pass(1_500);
    expect([group.stateOf("a").kind, group.stateOf("b").kind]).toEqual(["playing", "playing"]);
    const wall = group.clock.wall();
    for (const [video] of tiles) expect(Math.abs(9_000 + video.currentTime * 1000 - wall)).toBeLessThan(100);
    // One falls behind, and catches up without a jump.
    a.currentTime -= 0.3;
    await pass(400);
    expect(a.playbackRate).toBeGreaterThan(1.05);
    group.go(12_500);
    await pass(500);
    expect(group.stateOf("b")).toEqual({ kind: "gap", until: 15_000 });
    expect([a.paused, b.paused]).toEqual([false, true]);
    await pass(3_000);
    expect(group.stateOf("b").kind).toBe("playing");
    group.step(1);
    const stepped = group.clock.wall();
    group.step(1);
    expect(group.clock.wall() - stepped).toBeCloseTo(40, 6);
    expect([a.paused, b.paused]).toEqual([true, true]);
    // Behind the end of both: it stops by itself.
    group.toggle();
    group.go(61_000);
    await pass(300);
    expect(group.clock.playing).toBe(false);
    group.close();
    expect(new Set(closed).size).toBe(closed.length);
    expect(closed.length).toBe(a.loads + b.loads);
  });
});

describe("a file that is fed piece by piece", () => {
  const parts = [0, 1, 2, 3, 4, 5].map((n) => ({
    at: 1000 + n * 400_000,
    size: 400_000,
    startS: n,
    endS: n + 1,
    isKey: n % 2 === 0,
  }));
  const head = { initEnd: 700, parts };
  it.each([
    ["from the start", [], 0, 8, { from: 0, to: 2 }],
    ["from the key frame before", [], 3.5, 8, { from: 2, to: 4 }],
    ["goes on behind what is there", [{ start: 2, end: 4 }], 3.5, 8, { from: 4, to: 6 }],
    ["only as far as wished", [{ start: 0, end: 2 }], 1, 2, { from: 2, to: 4 }],
    ["enough is there", [{ start: 0, end: 4 }], 1, 2, null],
    ["another run does not count", [{ start: 4, end: 6 }], 0, 2, { from: 0, to: 2 }],
    ["the end", [{ start: 0, end: 6 }], 5.5, 8, null],
  ])("%s", (_name, buffered, at, ahead, wanted) => expect(nextRun(head, buffered, at, ahead)).toEqual(wanted));

  it("is known from its index", () => {
    const word = (n: number): number[] => [(n >>> 24) & 255, (n >> 16) & 255, (n >> 8) & 255, n & 255];
    const rows = [word(500), word(90_000), word(0x90000000), word(300), word(45_000), word(0)].flat();
    const sidx = box(
      "sidx",
      [1, 0, 0, 0],
      word(1),
      word(90_000),
      [0, 0, 0, 0],
      word(7200),
      word(0),
      word(0),
      [0, 0, 0, 2],
      rows,
    );
    const film = [...box("ftyp", [1]), ...box("moov", [2, 3]), ...sidx];
    const bytes = new Uint8Array(film).buffer;
    expect(headOf(bytes)).toEqual({
      initEnd: 19,
      parts: [
        { at: film.length, size: 500, startS: 0.08, endS: 1.08, isKey: true },
        { at: film.length + 500, size: 300, startS: 1.08, endS: 1.58, isKey: false },
      ],
    });
    for (let cut = 0; cut < film.length; cut += 1) expect(headOf(bytes.slice(0, cut))).toBeNull();
  });
});
