// Which time a plate search looks at: From and Until above the list where they are filled in, and the chosen days for a start that is not.

import { HOUR, MINUTE } from "../../domain/time";

export interface SearchSpan {
  from: number;
  to: number;
  /** Whether the chosen days say where it starts. */
  byDays: boolean;
}

/** Milliseconds since 1970. Days up to now are a minute short, so that 30 days are not more than 30 when the question arrives. */
export function searchSpan(from: number | null, until: number | null, days: number, now: number): SearchSpan {
  if (from !== null) return { from, to: until ?? now, byDays: false };
  if (until !== null) return { from: until - days * 24 * HOUR, to: until, byDays: true };
  return { from: now - days * 24 * HOUR + MINUTE, to: now, byDays: true };
}
