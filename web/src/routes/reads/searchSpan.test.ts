import { describe, expect, it } from "vitest";
import { fromLocal, HOUR, MINUTE } from "../../domain/time";
import { searchSpan } from "./searchSpan";

const DAY = 24 * HOUR;
const now = fromLocal(2026, 11, 23, 12);

describe("the time that a plate search looks at", () => {
  it.each([
    ["both empty: the days up to now", null, null, 7, now - 7 * DAY + MINUTE, now, true],
    ["until: the days up to it", null, now - 3 * DAY, 1, now - 4 * DAY, now - 3 * DAY, true],
    ["from: up to now, whatever the days", now - 40 * DAY, null, 1, now - 40 * DAY, now, false],
    ["both: exactly these", now - 2 * DAY, now - DAY, 30, now - 2 * DAY, now - DAY, false],
    // The server says what is wrong with it.
    ["the wrong way round: as it stands", now - DAY, now - 2 * DAY, 1, now - DAY, now - 2 * DAY, false],
  ])("%s", (_name, from, until, days, wantFrom, wantTo, byDays) => {
    expect(searchSpan(from, until, days, now)).toEqual({ from: wantFrom, to: wantTo, byDays });
  });
});
