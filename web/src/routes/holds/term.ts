import { parseDay } from "../../domain/moment";
import { fromLocal } from "../../domain/time";

/** The first instant after a day of Brussels, `2026-11-22`; null when it is no day. */
export function endOfDay(text: string): number | null {
  const day = parseDay(text);
  if (day === null) return null;
  const [year, month, date] = day.split("-").map(Number);
  if (year === undefined || month === undefined || date === undefined) return null;
  // The day after, by the calendar: a day of Brussels has 23, 24 or 25 hours.
  const next = new Date(Date.UTC(year, month - 1, date + 1));
  return fromLocal(next.getUTCFullYear(), next.getUTCMonth() + 1, next.getUTCDate());
}
