import { parseDay } from "../../domain/moment";
import { dayRange, fromLocal, localParts } from "../../domain/time";

/** A day of Brussels, and whether it runs on. */
export interface Day {
  span: { from: number; to: number };
  runs: boolean;
  now: number;
}

/** `2026-11-23` of an instant. */
export function dayText(ms: number): string {
  const { year, month, day } = localParts(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${year}-${two(month)}-${two(day)}`;
}

/** The day that somebody typed; null while it is none. */
export function dayOf(text: string, now: number): Day | null {
  const parsed = parseDay(text);
  if (parsed === null) return null;
  const [year = 0, month = 1, date = 1] = parsed.split("-").map(Number);
  const span = dayRange(fromLocal(year, month, date, 12));
  return { span, runs: span.from <= now && now < span.to, now };
}

/** The day before or after; a day has 23, 24 or 25 hours. */
export function dayBeside(day: Day, by: -1 | 1): string {
  return dayText(by < 0 ? day.span.from - 1 : day.span.to);
}
