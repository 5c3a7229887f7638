import { describe, expect, it } from "vitest";
import { backoffMs } from "./backoff";
import { firstPresentationTicks, timescaleOf } from "./boxes";
import { CaptureIndex, ClockOffset, freshness } from "./freshness";
import { LiveEdge, RATE_HURRY, RATE_MAX, RATE_MIN, TARGET_MAX_S, TARGET_MIN_S } from "./liveEdge";
import { takeBatch } from "./mseFeed";
import { HEADER_BYTES, liveProtocols, parseHeader, parseText } from "./wire";

function header(flags: number, version: number, init: number, seq: bigint, capture: bigint, send: bigint): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 4));
  view.setUint8(0, flags);
  view.setUint8(1, version);
  view.setUint16(2, init);
  view.setBigUint64(8, seq);
  view.setBigInt64(16, capture);
  view.setBigInt64(24, send);
  return view.buffer;
}

describe("header", () => {
  it("reads every field", () => {
    const parsed = parseHeader(header(3, 1, 513, 2n ** 60n, 1_795_352_607_123_456n, 1_795_352_607_130_001n));
    expect(parsed).toEqual({
      key: true,
      discontinuity: true,
      init: 513,
      seq: 2n ** 60n,
      captureUs: 1_795_352_607_123_456,
      sendUs: 1_795_352_607_130_001,
    });
  });
  it("keeps flags apart", () => {
    expect(parseHeader(header(1, 1, 1, 0n, 0n, 0n))).toMatchObject({ key: true, discontinuity: false });
    expect(parseHeader(header(2, 1, 1, 0n, 0n, 0n))).toMatchObject({ key: false, discontinuity: true });
  });
  it("refuses what it does not know", () => {
    expect(parseHeader(new ArrayBuffer(31))).toEqual({ error: "short" });
    expect(parseHeader(header(0, 2, 1, 0n, 0n, 0n))).toEqual({ error: "version" });
  });
});

describe("what a socket offers", () => {
  it("is the protocol and the ticket, each a token (RFC 9110, 5.6.2)", () => {
    const offered = liveProtocols("Ab3-_9".padEnd(43, "x"));
    expect(offered).toEqual(["vms.fmp4.v1", `ticket.${"Ab3-_9".padEnd(43, "x")}`]);
    for (const word of offered) expect(word).toMatch(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
  });
});

describe("text messages", () => {
  it.each([
    ['{"t":"init","init":1,"mime":"video/mp4","width":640,"height":360}', { t: "init", width: 640 }],
    ['{"t":"drop","frames":7}', { t: "drop", frames: 7 }],
    ['{"t":"state","phase":"waiting","cause":"unreachable"}', { t: "state", cause: "unreachable" }],
    ['{"t":"state","phase":"live","cause":null}', { t: "state", cause: null }],
    ['{"t":"end","why":"revoked"}', { t: "end", why: "revoked" }],
    ['{"t":"end","why":"something new"}', { t: "end", why: "stopped" }],
  ])("%s", (text, want) => expect(parseText(text)).toMatchObject(want));
  it.each(["", "7", "null", '{"t":"init"}', '{"t":"later"}', "[]"])("ignores %s", (text) =>
    expect(parseText(text)).toBeNull(),
  );
});

function box(type: string, ...parts: Uint8Array[]): Uint8Array {
  const size = 8 + parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(size);
  new DataView(out.buffer).setUint32(0, size);
  for (let i = 0; i < 4; i += 1) out[4 + i] = type.charCodeAt(i);
  let at = 8;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
const u32 = (...values: number[]): Uint8Array => {
  const out = new Uint8Array(values.length * 4);
  values.forEach((value, i) => new DataView(out.buffer).setInt32(i * 4, value));
  return out;
};

describe("boxes", () => {
  it.each([
    ["version 0", u32(0, 0, 0, 12_800, 0), 12_800],
    ["version 1", u32(0x01000000, 0, 0, 0, 0, 90_000, 0), 90_000],
  ])("time scale, %s", (_name, mdhd, want) => {
    const init = box("moov", box("mvhd"), box("trak", box("tkhd"), box("mdia", box("mdhd", mdhd))));
    expect(timescaleOf(init.slice().buffer)).toBe(want);
  });
  it.each([
    ["no offset", u32(0, 1000), u32(0x000001, 1, 99), 1000],
    ["64 bit", u32(0x01000000, 1, 5), u32(0x000001, 1, 99), 2 ** 32 + 5],
    ["with offset", u32(0, 1000), u32(0x000f01, 1, 99, 40, 500, 0, 80), 1080],
    ["negative offset", u32(0, 1000), u32(0x01000800, 1, -20), 980],
  ])("first presentation time, %s", (_name, tfdt, trun, want) => {
    const moof = box(
      "moof",
      box("mfhd", u32(0, 1)),
      box("traf", box("tfhd", u32(0, 1)), box("tfdt", tfdt), box("trun", trun)),
    );
    const padded = new Uint8Array(HEADER_BYTES + moof.length);
    padded.set(moof, HEADER_BYTES);
    expect(firstPresentationTicks(padded.buffer, HEADER_BYTES)).toBe(want);
  });
  it("survives every cut and every changed byte", () => {
    const moof = box("moof", box("traf", box("tfdt", u32(0, 1000)), box("trun", u32(0xf01, 1, 1, 1, 1, 1, 1))));
    for (let cut = 0; cut < moof.length; cut += 1)
      expect(() => firstPresentationTicks(moof.slice(0, cut).buffer, 0)).not.toThrow();
    expect(timescaleOf(new ArrayBuffer(0))).toBeNull();
    expect(firstPresentationTicks(new ArrayBuffer(7), 0)).toBeNull();
  });
});

describe("what goes into the buffer by one append", () => {
  const media = (bytes: number, offset: number | null = null) =>
    ({ kind: "media", bytes: new Uint8Array(bytes), offset }) as const;
  const init = { kind: "init", bytes: new ArrayBuffer(4), mime: "video/mp4" } as const;
  it.each([
    ["nothing", [], [], 0],
    ["one fragment", [media(10)], [10], 0],
    ["all that waited", [media(10), media(20), media(30)], [10, 20, 30], 0],
    ["up to an init segment", [media(10), init, media(30)], [10], 2],
    ["up to a new offset", [media(10, 1), media(20), media(30, 2)], [10, 20], 1],
    ["at most half a mebibyte", [media(300_000), media(300_000)], [300_000], 1],
    ["a large key frame alone", [media(3_000_000), media(10)], [3_000_000], 1],
  ])("%s", (_name, jobs, want, left) => {
    const queue = [...jobs];
    expect(takeBatch(queue).map((part) => part.byteLength)).toEqual(want);
    expect(queue).toHaveLength(left);
  });
});

describe("live edge", () => {
  it.each([
    ["on target", 0.08, 1, false],
    ["a little late", 0.2, 1.07, false],
    ["late", 0.5, RATE_MAX, false],
    ["very late", 1.08, RATE_HURRY, false],
    ["late by seconds", 3.9, RATE_HURRY, false],
    ["too close", 0.01, 0.96, false],
    ["dry", -0.1, RATE_MIN, false],
    ["far behind", 4.2, 1, true],
    ["ahead", -3, 1, true],
  ])("%s", (_name, behind, rate, jumps) => {
    const order = new LiveEdge().step({ position: 100 - behind, start: 90, end: 100 });
    expect(order.rate).toBeCloseTo(rate, 2);
    expect(order.seekTo !== null).toBe(jumps);
  });
  it("jumps into the buffer when the position lies before it", () => {
    expect(new LiveEdge().step({ position: 0, start: 99.9, end: 100 }).seekTo).toBeCloseTo(99.92);
  });
  it("backs off after stalls and comes back when calm", () => {
    const edge = new LiveEdge();
    for (let i = 0; i < 20; i += 1) edge.stalled();
    expect(edge.target).toBeCloseTo(TARGET_MAX_S);
    for (let i = 0; i < 120 * 40; i += 1) edge.step({ position: 99.9, start: 90, end: 100 });
    expect(edge.target).toBeCloseTo(TARGET_MIN_S);
  });
  it.each([
    ["no frame lost", [6, 6, 6, 6, 6, 6, 6, 6], [0], TARGET_MIN_S],
    ["one in fifty", [6, 6, 6, 6, 6, 6, 6, 6], [1], TARGET_MIN_S],
    ["one in six", [6, 6, 6, 6, 6, 6, 6, 6], [1, 1, 1, 1, 1, 1, 1, 1], TARGET_MIN_S + 0.04],
    ["lost, none decoded", [0, 0, 0, 0, 0, 0, 0, 0], [3], TARGET_MIN_S + 0.04],
    ["not yet two seconds", [6, 6, 6], [6, 6, 6], TARGET_MIN_S],
  ])("waits longer where frames come too late to be painted: %s", (_name, frames, lost, target) => {
    const edge = new LiveEdge();
    frames.forEach((count, i) => edge.step({ position: 99.9, start: 90, end: 100, frames: count, lost: lost[i] ?? 0 }));
    expect(edge.target).toBeCloseTo(target);
  });
  it("settles at the target from half a second behind", () => {
    const edge = new LiveEdge();
    let position = 9.5;
    let end = 10;
    for (let i = 0; i < 4 * 20; i += 1) {
      const order = edge.step({ position, start: 0, end });
      position += 0.25 * order.rate;
      end += 0.25;
    }
    expect(end - position).toBeGreaterThan(0.05);
    expect(end - position).toBeLessThan(0.15);
  });
});

describe("freshness", () => {
  it.each([
    [100_000, "live"],
    [2_000_001, "late"],
    [5_000_001, "frozen"],
  ] as const)("%i µs is %s", (age, word) => expect(freshness(age)).toBe(word));

  it("takes small clock differences as none and finds large ones", () => {
    const near = new ClockOffset();
    near.observe(1_000_000, 990_000);
    expect(near.us).toBe(0);
    const far = new ClockOffset();
    for (const delay of [9_000, 4_000, 30_000]) far.observe(90_000_000 + delay, 0);
    expect(far.us).toBe(90_004_000);
  });

  it("finds the capture instant of a shown frame", () => {
    const index = new CaptureIndex(100);
    for (let i = 0; i < 500; i += 1) index.add(i * 0.04, i);
    expect(index.at(499 * 0.04 + 0.000_4)).toBe(499);
    expect(index.at(450 * 0.04)).toBe(450);
    expect(index.at(0)).toBeNull();
    expect(index.at(499 * 0.04 + 0.5)).toBeNull();
  });
});

describe("back-off", () => {
  it("doubles and is bounded", () => {
    expect(backoffMs(0, 0)).toBe(200);
    expect(backoffMs(3, 0.999)).toBeGreaterThan(backoffMs(0, 0.999));
    expect(backoffMs(50, 0.999)).toBeLessThanOrEqual(10_000);
  });
});
