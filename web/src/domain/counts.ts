// Counts of a day as bars and rows. A number that is held back is told as such: it is neither 0 nor missing, and no sum may hold it,
// since a difference would give it away (the server's own rule, docs/PRIVACY.md).

import { fromWire, HOUR, MINUTE, SECOND } from "./time";

/** A cell is sealed ten seconds after its end and written then; before that nothing is said of it. */
const SEALED_AFTER = 30 * SECOND;

export interface CountRow {
  from: string;
  to: string;
  lane?: number | null;
  count?: number | null;
  suppressed: boolean;
}

export interface Bar {
  from: number;
  to: number;
  /** `counted` has a number; `small`: fewer than five vehicles, or none; `missing`: not counted from its start to its end. */
  kind: "counted" | "small" | "missing";
  value: number;
}

/** Lengths that a place can be shown in, minutes: its finest and the coarser ones. */
export function lengthsOf(finest: number): number[] {
  return [1, 5, 15, 60].filter((minutes) => minutes >= finest);
}

/** The length that a place is shown in first: a day has at most 288 bars then. */
export function firstLength(finest: number): number {
  return Math.max(5, finest);
}

/**
 * The bars of a span, up to the last one that can be known at `now`. `lanes`: those that a bar adds up; `[null]` where a place does not tell
 * lanes apart. A bar is a number only when each cell in it is one.
 */
export function barsOf(
  rows: readonly CountRow[],
  wanted: { finest: number; minutes: number; lanes: readonly (number | null)[] },
  span: { from: number; to: number },
  now: number,
): Bar[] {
  const cells = new Map<string, CountRow>();
  for (const row of rows) cells.set(`${fromWire(row.from)}/${row.lane ?? ""}`, row);
  const bars: Bar[] = [];
  const length = wanted.minutes * MINUTE;
  for (let from = span.from; from + length <= span.to && from + length + SEALED_AFTER <= now; from += length) {
    const bar: Bar = { from, to: from + length, kind: "counted", value: 0 };
    for (let at = from; at < bar.to; at += wanted.finest * MINUTE) {
      for (const lane of wanted.lanes) {
        const cell = cells.get(`${at}/${lane ?? ""}`);
        if (cell === undefined) bar.kind = "missing";
        else if (typeof cell.count === "number") bar.value += cell.count;
        else if (bar.kind === "counted") bar.kind = "small";
      }
    }
    bars.push(bar.kind === "counted" ? bar : { ...bar, value: 0 });
  }
  return bars;
}

/** Travel times as bars of five minutes: those that were not published are missing. */
export function timeBarsOf(
  rows: readonly { from: string; to: string; mean_s: number }[],
  span: { from: number; to: number },
  now: number,
): Bar[] {
  const known = new Map(rows.map((row) => [fromWire(row.from), row.mean_s]));
  const bars: Bar[] = [];
  const length = 5 * MINUTE;
  for (let from = span.from; from + length <= span.to && from + length + SEALED_AFTER <= now; from += length) {
    const value = known.get(from);
    bars.push({ from, to: from + length, kind: value === undefined ? "missing" : "counted", value: value ?? 0 });
  }
  return bars;
}

/** What a day amounts to: the sum of what is shown, and how many bars show nothing. */
export function sumOf(bars: readonly Bar[]): { counted: number; shown: number; small: number; missing: number } {
  const out = { counted: 0, shown: 0, small: 0, missing: 0 };
  for (const bar of bars) {
    if (bar.kind === "counted") {
      out.counted += bar.value;
      out.shown += 1;
    } else out[bar.kind] += 1;
  }
  return out;
}

/** The rows of a table: bars without a number that follow each other are one row, so that nobody reads past hours of nothing. */
export function rowsOf(bars: readonly Bar[]): Bar[] {
  const rows: Bar[] = [];
  for (const bar of bars) {
    const last = rows.at(-1);
    if (bar.kind === "missing" && last?.kind === "missing") rows[rows.length - 1] = { ...last, to: bar.to };
    else rows.push(bar);
  }
  return rows;
}

/** A round number that is at least the greatest value: the top of the scale. */
export function topOf(bars: readonly Bar[]): number {
  const most = bars.reduce((top, bar) => Math.max(top, bar.value), 0);
  if (most <= 10) return 10;
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 5, 10].find((step) => step * power >= most) ?? 10) * power;
}

/** The same of seconds: a round time, whose half is one too. A drive lasts 450 s at most. */
export function timesTopOf(bars: readonly Bar[]): number {
  const most = bars.reduce((top, bar) => Math.max(top, bar.value), 0);
  return [60, 120, 240, 360].find((top) => top >= most) ?? 480;
}

/** Instants of the scale below: each third hour of the span. */
export function ticksOf(span: { from: number; to: number }): number[] {
  const out: number[] = [];
  for (let at = span.from; at <= span.to; at += 3 * HOUR) out.push(at);
  return out;
}

/** `65` as `1:05`. */
export function minutesText(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
}
