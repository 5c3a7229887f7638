// Days and moments as they are typed: `2026-11-22` and `2026-11-22 14:03:27`, the same in every language, so that nobody takes a
// day for a month. Moments are of Europe/Brussels.

import { fromInputValue, fromLocal, localParts, toInputValue, HOUR, MINUTE, SECOND } from "./time";

const two = (n: number): string => String(n).padStart(2, "0");

/** 2026-11-22 14:03:27 */
export function momentText(ms: number): string {
  return toInputValue(ms).replace("T", " ");
}

function isDay(year: number, month: number, day: number): boolean {
  const whole = new Date(Date.UTC(year, month - 1, day));
  return whole.getUTCMonth() === month - 1 && whole.getUTCDate() === day && year >= 1000;
}

/** A day as it is sent; null when it is none. */
export function parseDay(text: string): string | null {
  const match = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text.trim());
  const [year = 0, month = 0, day = 0] = (match ?? []).slice(1).map(Number);
  return match !== null && isDay(year, month, day) ? `${year}-${two(month)}-${two(day)}` : null;
}

/** The instant of a typed moment; a day alone is its first instant, seconds may be left out. Null when it is none. */
export function parseMoment(text: string): number | null {
  const match = /^(\d{4}-\d{1,2}-\d{1,2})(?:[T\s]+(\d{1,2})[:.h](\d{2})(?:[:.](\d{2}))?)?$/.exec(text.trim());
  const day = parseDay(match?.[1] ?? "");
  if (match === null || day === null) return null;
  const [hour = 0, minute = 0, second = 0] = match.slice(2).map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return null;
  return fromInputValue(`${day}T${two(hour)}:${two(minute)}:${two(second)}`);
}

export interface Stepped {
  text: string;
  /** The part that was stepped, to be selected again. */
  start: number;
  end: number;
}

const PARTS = [
  [0, 4],
  [5, 7],
  [8, 10],
  [11, 13],
  [14, 16],
  [17, 19],
] as const;
const FIXED = [0, 0, 0, HOUR, MINUTE, SECOND] as const;

function partAt(caret: number, count: number): number {
  const found = PARTS.slice(0, count).findIndex(([, end]) => caret <= end);
  return found === -1 ? count - 1 : found;
}

/** A calendar step: the day is kept within the month that it lands in. */
function stepDate(year: number, month: number, day: number, part: number, by: number): [number, number, number] {
  if (part === 2) {
    const moved = new Date(Date.UTC(year, month - 1, day + by));
    return [moved.getUTCFullYear(), moved.getUTCMonth() + 1, moved.getUTCDate()];
  }
  const first = new Date(Date.UTC(year + (part === 0 ? by : 0), month - 1 + (part === 1 ? by : 0), 1));
  const [y, m] = [first.getUTCFullYear(), first.getUTCMonth() + 1];
  return [y, m, Math.min(day, new Date(Date.UTC(y, m, 0)).getUTCDate())];
}

/** One step up or down of the part under the caret; null when the text is no day. */
export function stepDay(text: string, caret: number, by: number): Stepped | null {
  const day = parseDay(text);
  if (day === null) return null;
  const part = partAt(caret, 3);
  const [y, m, d] = stepDate(Number(day.slice(0, 4)), Number(day.slice(5, 7)), Number(day.slice(8)), part, by);
  const [start, end] = PARTS[part] ?? [0, 4];
  return { text: `${String(y).padStart(4, "0")}-${two(m)}-${two(d)}`, start, end };
}

/** The same for a moment. Hours, minutes and seconds pass as time passes, also through the nights that change the clock. */
export function stepMoment(text: string, caret: number, by: number): Stepped | null {
  const at = parseMoment(text);
  if (at === null) return null;
  const part = partAt(caret, 6);
  const [start, end] = PARTS[part] ?? [0, 4];
  if (part > 2) return { text: momentText(at + by * (FIXED[part] ?? 0)), start, end };
  const local = localParts(at);
  const [y, m, d] = stepDate(local.year, local.month, local.day, part, by);
  return { text: momentText(fromLocal(y, m, d, local.hour, local.minute, local.second)), start, end };
}
