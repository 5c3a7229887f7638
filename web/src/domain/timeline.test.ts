import { describe, expect, it } from "vitest";
import { HOUR, MINUTE, dayRange } from "./time";
import {
  clockMarks,
  eventFrom,
  joined,
  segmentFrom,
  ticketSpan,
  ticks,
  tickStep,
  zoom,
  ZOOM_MAX,
  ZOOM_MIN,
} from "./timeline";

describe("ticks", () => {
  it.each([
    ["2026-03-29T12:00:00Z", 23, ["00", "01", "03"]],
    ["2026-10-25T12:00:00Z", 25, ["00", "01", "02", "02", "03"]],
  ])("the day of %s shows %i hours", (at, count, firstHours) => {
    const view = dayRange(Date.parse(at));
    const found = ticks(view, 30, "en");
    expect(found).toHaveLength(count);
    expect(found[0]?.day).toBe(true);
    const hours = found.slice(1, firstHours.length).map((tick) => tick.label.slice(0, 2));
    expect(hours).toEqual(firstHours.slice(1));
  });

  it("tells the two hours of an autumn night apart by their zone", () => {
    const labels = ticks(dayRange(Date.parse("2026-10-25T12:00:00Z")), 30, "nl").map((tick) => tick.label);
    expect(labels.slice(1, 5)).toEqual(["01:00 CEST", "02:00 CEST", "02:00 CET", "03:00 CET"]);
    expect(new Set(labels).size).toBe(labels.length);
  });

  it("picks a step that fits", () => {
    expect(tickStep({ from: 0, to: 10 * MINUTE }, 10)).toBe(MINUTE);
    expect(tickStep({ from: 0, to: 24 * HOUR }, 12)).toBe(2 * HOUR);
  });

  it("stands at round local times in summer as in winter", () => {
    for (const at of ["2026-07-01T00:20:00Z", "2026-12-01T00:20:00Z"]) {
      const from = Date.parse(at);
      const labels = ticks({ from, to: from + 24 * HOUR }, 8, "en").map((tick) => tick.label);
      expect(labels.filter((label) => /^\d/.test(label))).toContain("06:00");
    }
  });
});

describe("view", () => {
  it("keeps the instant under the pointer in place and stays within bounds", () => {
    const view = { from: 1000_000, to: 2000_000 };
    const near = zoom(view, 1250_000, 0.5);
    expect((1250_000 - near.from) / (near.to - near.from)).toBeCloseTo(0.25);
    expect(zoom(view, 1500_000, 1e-9).to - zoom(view, 1500_000, 1e-9).from).toBeCloseTo(ZOOM_MIN);
    expect(zoom(view, 1500_000, 1e9).to - zoom(view, 1500_000, 1e9).from).toBeCloseTo(ZOOM_MAX);
  });
});

describe("tickets", () => {
  const segments = [
    { from: 0, to: 5 * MINUTE },
    { from: 6 * MINUTE, to: 60 * MINUTE },
  ];
  it.each([
    ["inside", MINUTE, { from: MINUTE, to: 5 * MINUTE }],
    ["in the gap", 5.5 * MINUTE, { from: 6 * MINUTE, to: 21 * MINUTE }],
    ["long", 10 * MINUTE, { from: 10 * MINUTE, to: 25 * MINUTE }],
    ["at the end", 59.999 * MINUTE, null],
    ["after it", 61 * MINUTE, null],
  ])("%s", (_name, at, want) => expect(ticketSpan(segments, at)).toEqual(want));

  it("finds the next segment in any order", () => {
    expect(segmentFrom([...segments].reverse(), 5.5 * MINUTE)).toEqual(segments[1]);
  });

  it("joins neighbours", () => {
    expect(
      joined(
        [
          { from: 10, to: 20 },
          { from: 0, to: 10 },
          { from: 30, to: 40 },
        ],
        5,
      ),
    ).toEqual([
      { from: 0, to: 20 },
      { from: 30, to: 40 },
    ]);
  });
});

describe("events", () => {
  const reads = [{ at: 10_000 }, { at: 60_000 }];
  const gaps = [{ from: 20_000, to: 30_000, cause: "silent" }];
  it.each<[string, number, "next" | "previous", number | null]>([
    ["the first read, two seconds early", 0, "next", 8_000],
    ["not the one on screen", 8_000, "next", 30_000],
    ["the end of a gap", 15_000, "next", 30_000],
    ["none after the last", 58_000, "next", null],
    ["back to the gap", 58_000, "previous", 30_000],
    ["back over the one that just began", 31_000, "previous", 8_000],
    ["none before the first", 9_000, "previous", null],
  ])("%s", (_name, at, direction, want) => expect(eventFrom(reads, gaps, at, direction)).toBe(want));
});

describe("clock marks", () => {
  it("are told in milliseconds, and are none while nothing is known", () => {
    const line = { clocks: [{ at: "2026-11-22T11:01:00.000000Z", what: "host_stepped" }] };
    expect(clockMarks(line)).toEqual([{ at: Date.parse("2026-11-22T11:01:00Z"), what: "host_stepped" }]);
    expect(clockMarks(undefined)).toEqual([]);
  });
});
