import { describe, expect, it } from "vitest";
import { momentText, parseDay, parseMoment, stepDay, stepMoment } from "./moment";

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

describe("a typed day", () => {
  it.each([
    ["2026-11-22", "2026-11-22"],
    [" 2026-1-2 ", "2026-01-02"],
    ["2024-02-29", "2024-02-29"],
    ["2026-02-29", null],
    ["2026-13-01", null],
    ["2026-00-10", null],
    ["0000-01-01", null],
    ["22/11/2026", null],
    ["11-22-2026", null],
    ["", null],
  ])("%s", (text, want) => expect(parseDay(text)).toBe(want));
});

describe("a typed moment", () => {
  it.each([
    ["2026-11-22 14:03:27", "2026-11-22T13:03:27.000Z"],
    ["2026-11-22T14:03", "2026-11-22T13:03:00.000Z"],
    ["2026-07-01", "2026-06-30T22:00:00.000Z"],
    ["2026-07-01 9h05", "2026-07-01T07:05:00.000Z"],
    ["2026-11-22 24:00", null],
    ["2026-11-22 12:60", null],
    ["2026-02-30 12:00", null],
    ["22/11/2026 14:03", null],
    ["14:03", null],
    ["2026-11-22 14:03 or so", null],
    ["", null],
  ])("%s", (text, want) => expect(iso(parseMoment(text))).toBe(want));

  it("goes there and back", () => {
    const at = Date.parse("2026-07-21T10:15:30Z");
    expect(momentText(at)).toBe("2026-07-21 12:15:30");
    expect(parseMoment(momentText(at))).toBe(at);
  });
});

describe("steps by the arrow keys", () => {
  it.each([
    ["2026-11-22", 0, 1, "2027-11-22", 0],
    ["2024-02-29", 2, -1, "2023-02-28", 0],
    ["2026-01-31", 6, 1, "2026-02-28", 5],
    ["2026-12-31", 10, 1, "2027-01-01", 8],
    ["2026-01-01", 8, -1, "2025-12-31", 8],
  ] as const)("%s at %i by %i", (text, caret, by, want, start) =>
    expect(stepDay(text, caret, by)).toEqual({ text: want, start, end: start === 0 ? 4 : start + 2 }),
  );

  it.each([
    ["2026-11-22 23:59:59", 19, 1, "2026-11-23 00:00:00", 17],
    ["2026-11-22 14:03:27", 12, -1, "2026-11-22 13:03:27", 11],
    ["2026-11-22 14:03", 15, 1, "2026-11-22 14:04:00", 14],
    ["2026-03-29 01:30:00", 11, 1, "2026-03-29 03:30:00", 11],
    ["2026-03-28 02:30:00", 9, 1, "2026-03-29 03:30:00", 8],
    ["2026-10-25 01:30:00", 11, 1, "2026-10-25 02:30:00", 11],
  ] as const)("%s at %i by %i", (text, caret, by, want, start) =>
    expect(stepMoment(text, caret, by)).toEqual({ text: want, start, end: start + 2 }),
  );

  it("does nothing with what is no moment", () => {
    expect(stepMoment("soon", 0, 1)).toBeNull();
    expect(stepDay("2026-02-30", 0, 1)).toBeNull();
  });
});
