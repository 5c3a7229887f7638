import { describe, expect, it } from "vitest";
import {
  barsOf,
  firstLength,
  lengthsOf,
  minutesText,
  rowsOf,
  sumOf,
  ticksOf,
  timeBarsOf,
  timesTopOf,
  topOf,
  type CountRow,
} from "./counts";
import { dayRange, HOUR, MINUTE } from "./time";

const DAY = dayRange(Date.parse("2026-11-22T12:00:00Z"));
const END = DAY.to + MINUTE;

/** Cells of a quarter of an hour from midnight on: a number, null for one held back, undefined for none. */
function quarters(counts: (number | null | undefined)[], lane: number | null = null): CountRow[] {
  return counts.flatMap((count, n) => {
    const from = new Date(DAY.from + n * 15 * MINUTE).toISOString();
    const to = new Date(DAY.from + (n + 1) * 15 * MINUTE).toISOString();
    return count === undefined ? [] : [{ from, to, lane, count, suppressed: count === null }];
  });
}

const shape = (bars: ReturnType<typeof barsOf>, first: number): (number | string)[] =>
  bars.slice(0, first).map((bar) => (bar.kind === "counted" ? bar.value : bar.kind));

describe("bars of a day", () => {
  it("tell a number, one that is held back and none apart", () => {
    const bars = barsOf(quarters([12, null, undefined, 5]), { finest: 15, minutes: 15, lanes: [null] }, DAY, END);
    expect(bars).toHaveLength(96);
    expect(shape(bars, 5)).toEqual([12, "small", "missing", 5, "missing"]);
    expect(sumOf(bars)).toEqual({ counted: 17, shown: 2, small: 1, missing: 93 });
  });
  it.each([
    [[6, 7, 8, 9], 30],
    // The difference to the other quarters would give the small one away.
    [[6, null, 8, 9], "small"],
    [[6, undefined, 8, 9], "missing"],
    [[6, null, undefined, 9], "missing"],
    [[6, undefined, null, 9], "missing"],
  ] as const)("of an hour hold four quarters: %j is %j", (counts, wanted) => {
    const bars = barsOf(quarters([...counts]), { finest: 15, minutes: 60, lanes: [null] }, DAY, END);
    expect(bars).toHaveLength(24);
    expect(shape(bars, 1)).toEqual([wanted]);
    // What is not shown has no value that somebody might draw.
    for (const bar of bars) if (bar.kind !== "counted") expect(bar.value).toBe(0);
  });
  it("add lanes up only where each lane has a number", () => {
    const rows = [...quarters([6, 7, null], 1), ...quarters([8, null, null], 2)];
    const of = (lanes: number[]) => shape(barsOf(rows, { finest: 15, minutes: 15, lanes }, DAY, END), 3);
    expect(of([1, 2])).toEqual([14, "small", "small"]);
    expect(of([1])).toEqual([6, 7, "small"]);
    expect(of([2])).toEqual([8, "small", "small"]);
  });
  it("without a number are one row of the table, and those held back are told each", () => {
    const bars = barsOf(
      quarters([undefined, undefined, 12, null, null, undefined]),
      { finest: 15, minutes: 15, lanes: [null] },
      DAY,
      DAY.from + 91 * MINUTE,
    );
    const rows = rowsOf(bars).map((row) => [row.kind, (row.from - DAY.from) / MINUTE, (row.to - DAY.from) / MINUTE]);
    expect(rows).toEqual([
      ["missing", 0, 30],
      ["counted", 30, 45],
      ["small", 45, 60],
      ["small", 60, 75],
      ["missing", 75, 90],
    ]);
    expect(rowsOf([])).toEqual([]);
  });
  it("say nothing of a cell that is not sealed yet", () => {
    const rows = quarters([12, 13]);
    const at = (now: number): number =>
      barsOf(rows, { finest: 15, minutes: 15, lanes: [null] }, DAY, DAY.from + now).length;
    expect([at(0), at(15 * MINUTE), at(15 * MINUTE + 29_999), at(15 * MINUTE + 30_000), at(HOUR)]).toEqual([
      0, 0, 0, 1, 3,
    ]);
  });
  it.each([
    ["2026-10-25T12:00:00Z", 25],
    ["2026-03-29T12:00:00Z", 23],
  ])("are as many as %s has hours", (noon, hours) => {
    const day = dayRange(Date.parse(noon));
    expect(barsOf([], { finest: 5, minutes: 60, lanes: [null] }, day, day.to + MINUTE)).toHaveLength(hours);
  });
});

describe("travel times", () => {
  it("are missing where none was published", () => {
    const rows = [
      {
        from: new Date(DAY.from + 5 * MINUTE).toISOString(),
        to: new Date(DAY.from + 10 * MINUTE).toISOString(),
        mean_s: 65,
      },
    ];
    const bars = timeBarsOf(rows, DAY, DAY.from + HOUR);
    expect(shape(bars, 3)).toEqual(["missing", 65, "missing"]);
    expect(bars).toHaveLength(11);
  });
  it.each([
    [0, "0:00"],
    [5, "0:05"],
    [65, "1:05"],
    [450, "7:30"],
  ])("%i s are %s", (seconds, wanted) => expect(minutesText(seconds)).toBe(wanted));
});

describe("the scale", () => {
  it.each([
    [0, 10],
    [10, 10],
    [11, 20],
    [200, 200],
    [201, 500],
    [999, 1000],
  ])("of %i ends at %i", (value, top) => expect(topOf([{ from: 0, to: 1, kind: "counted", value }])).toBe(top));
  it.each([
    [0, 60],
    [61, 120],
    [145, 240],
    [450, 480],
  ])("of %i s ends at %i s", (value, top) =>
    expect(timesTopOf([{ from: 0, to: 1, kind: "counted", value }])).toBe(top),
  );
  it("has a mark each third hour, also on a day of 25", () => {
    expect(ticksOf(DAY)).toHaveLength(9);
    expect(ticksOf(dayRange(Date.parse("2026-10-25T12:00:00Z"))).at(0)).toBe(Date.parse("2026-10-24T22:00:00Z"));
  });
  it.each([
    [1, [1, 5, 15, 60], 5],
    [5, [5, 15, 60], 5],
    [15, [15, 60], 15],
    [60, [60], 60],
  ])("a place of %i min is shown in %j, first %i", (finest, lengths, first) => {
    expect([lengthsOf(finest), firstLength(finest)]).toEqual([lengths, first]);
  });
});
