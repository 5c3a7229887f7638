import { describe, expect, it } from "vitest";
import {
  typedMoment,
  instantsOf,
  dayRange,
  fromInputValue,
  fromLocal,
  fromWire,
  HOUR,
  offsetMinutes,
  span,
  toInputValue,
  toWire,
  zoneName,
} from "./time";

describe("days of Brussels", () => {
  it.each([
    ["2026-03-28T12:00:00Z", 24],
    ["2026-03-29T12:00:00Z", 23],
    ["2026-10-25T12:00:00Z", 25],
    ["2026-11-22T12:00:00Z", 24],
    ["2027-03-28T00:30:00Z", 23],
  ])("the day of %s has %i hours", (at, hours) => {
    const range = dayRange(Date.parse(at));
    expect((range.to - range.from) / HOUR).toBe(hours);
    expect(range.from).toBeLessThanOrEqual(Date.parse(at));
    expect(range.to).toBeGreaterThan(Date.parse(at));
  });

  it.each([
    ["2026-01-10T00:00:00Z", 60, "CET"],
    ["2026-03-29T00:59:59Z", 60, "CET"],
    ["2026-03-29T01:00:00Z", 120, "CEST"],
    ["2026-10-25T00:59:59Z", 120, "CEST"],
    ["2026-10-25T01:00:00Z", 60, "CET"],
  ])("%s is %i minutes ahead", (at, minutes, name) => {
    expect(offsetMinutes(Date.parse(at))).toBe(minutes);
    expect(zoneName(Date.parse(at))).toBe(name);
  });

  it.each([
    [[2026, 11, 22, 14, 3, 27], "2026-11-22T13:03:27.000Z"],
    [[2026, 7, 1, 0, 0, 0], "2026-06-30T22:00:00.000Z"],
    [[2026, 10, 25, 2, 30, 0], "2026-10-25T00:30:00.000Z"],
    [[2026, 10, 25, 3, 30, 0], "2026-10-25T02:30:00.000Z"],
    [[2026, 3, 29, 3, 0, 0], "2026-03-29T01:00:00.000Z"],
  ] as const)("local %j is %s", (local, utc) => {
    expect(new Date(fromLocal(local[0], local[1], local[2], local[3], local[4], local[5])).toISOString()).toBe(utc);
  });

  it("takes an hour that does not exist as the one after it", () => {
    expect(new Date(fromLocal(2026, 3, 29, 2, 30)).toISOString()).toBe("2026-03-29T01:30:00.000Z");
  });
});

describe("wire and input", () => {
  it("keeps microseconds", () => {
    expect(fromWire("2026-11-22T13:03:27.123456Z")).toBeCloseTo(Date.parse("2026-11-22T13:03:27.123Z") + 0.456, 3);
    expect(toWire(Date.parse("2026-11-22T13:03:27.123Z"))).toBe("2026-11-22T13:03:27.123000Z");
  });

  it("goes there and back", () => {
    const at = Date.parse("2026-07-21T10:15:30Z");
    expect(toInputValue(at)).toBe("2026-07-21T12:15:30");
    expect(fromInputValue(toInputValue(at))).toBe(at);
    expect(fromInputValue("tomorrow")).toBeNull();
  });

  it.each([
    [400, "0.4 s"],
    [12_000, "12 s"],
    [180_000, "3 min"],
    [3 * HOUR, "3 h"],
  ])("%i ms is %s", (ms, text) => expect(span(ms)).toBe(text));
});

describe("typed local times", () => {
  it.each([
    ["2026-10-25T02:30:00", ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"]],
    ["2026-10-25T01:59:59", ["2026-10-24T23:59:59.000Z"]],
    ["2026-10-25T03:00:00", ["2026-10-25T02:00:00.000Z"]],
    ["2026-03-29T02:30:00", ["2026-03-29T01:30:00.000Z"]],
    ["2026-07-01T12:00:00", ["2026-07-01T10:00:00.000Z"]],
    ["soon", []],
  ])("%s", (text, want) => expect(instantsOf(text).map((ms) => new Date(ms).toISOString())).toEqual(want));
});

describe("a moment as it is typed", () => {
  const near = Date.parse("2026-11-22T09:14:30Z");
  it.each([
    ["14:03", "2026-11-22T14:03:00"],
    [" 9h05 ", "2026-11-22T09:05:00"],
    ["14.03.27", "2026-11-22T14:03:27"],
    ["21/11 23:59:59", "2026-11-21T23:59:59"],
    ["29/02/2024 00:00", "2024-02-29T00:00:00"],
    ["29/02/2026 00:00", null],
    ["24:00", null],
    ["12:60", null],
    ["noon", null],
    ["", null],
  ])("%s", (text, want) => expect(typedMoment(text, near)).toBe(want));
});
