import { expect, it } from "vitest";
import { endOfDay } from "./term";

it("ends a day of Brussels where the next one begins", () => {
  for (const [text, wanted] of [
    ["2026-11-22", "2026-11-22T23:00:00.000Z"],
    ["2026-07-01", "2026-07-01T22:00:00.000Z"],
    // The days on which the clocks change have 23 and 25 hours.
    ["2026-03-29", "2026-03-29T22:00:00.000Z"],
    ["2026-10-25", "2026-10-25T23:00:00.000Z"],
    ["2026-12-31", "2026-12-31T23:00:00.000Z"],
    ["2026-02-30", null],
    ["soon", null],
  ] as const) {
    const at = endOfDay(text);
    expect(at === null ? null : new Date(at).toISOString(), text).toBe(wanted);
  }
});
