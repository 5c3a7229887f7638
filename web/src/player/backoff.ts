// Waiting times between attempts: doubling with jitter, never longer than ten seconds.

const FIRST_MS = 400;
const LONGEST_MS = 10_000;

/** `attempt` counts from 0; `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.5 + random / 2));
}
