// Geometry and facts of the timeline, without a canvas.

import {
  clock,
  clockShort,
  dayShort,
  fromWire,
  HOUR,
  localParts,
  MINUTE,
  offsetMinutes,
  SECOND,
  zoneName,
  type Language,
} from "./time";

export interface Span {
  from: number;
  to: number;
}

export interface Gap extends Span {
  cause: string;
}

/** Something that happened to a clock. */
export interface ClockMark {
  at: number;
  what: string;
}

/** Marks of clocks as the server tells them; none while nothing is known. */
export function clockMarks(line: { clocks: readonly { at: string; what: string }[] } | undefined): ClockMark[] {
  return (line?.clocks ?? []).map((mark) => ({ at: fromWire(mark.at), what: mark.what }));
}

export type View = Span;

/** 1 second to 31 days on screen. */
export const ZOOM_MIN = SECOND;
export const ZOOM_MAX = 31 * 24 * HOUR;
/** Longest span of one playback ticket (docs/API-DESIGN.md). */
export const TICKET_MAX = 15 * MINUTE;

const STEPS = [
  100,
  200,
  500,
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  24 * HOUR,
  48 * HOUR,
  7 * 24 * HOUR,
];

export interface Tick {
  at: number;
  label: string;
  /** A day begins here. */
  day: boolean;
}

/** Smallest step of which at most `most` fit. */
export function tickStep(view: View, most: number): number {
  return STEPS.find((step) => (view.to - view.from) / step <= most) ?? 14 * 24 * HOUR;
}

/** Ticks at round local times. On the days on which the clock changes the hours stay round on both sides. */
export function ticks(view: View, most: number, language: Language): Tick[] {
  const step = tickStep(view, most);
  const out: Tick[] = [];
  // In a view over a clock change the letters tell the hour that occurs twice (or not at all) apart.
  const changes = offsetMinutes(view.from) !== offsetMinutes(view.to);
  let at = roundUp(view.from, step);
  while (at < view.to && out.length < 500) {
    const local = localParts(at);
    const isDay = local.hour === 0 && local.minute === 0 && local.second === 0 && at % SECOND === 0;
    let label: string;
    if (isDay) label = dayShort(at, language);
    else if (step >= MINUTE) label = clockShort(at, language);
    else label = step < SECOND ? `${clock(at, language)}.${Math.floor((at % 1000) / 100)}` : clock(at, language);
    if (changes && !isDay) label = `${label} ${zoneName(at)}`;
    out.push({ at, label, day: isDay });
    const next = roundUp(at + 1, step);
    at = next > at ? next : at + step;
  }
  return out;
}

/** The next instant that is a whole number of steps after local midnight 1970. */
function roundUp(ms: number, step: number): number {
  const shift = offsetMinutes(ms) * MINUTE;
  const up = Math.ceil((ms + shift) / step) * step - shift;
  // Over a clock change the shift differs at the far side; round there again.
  const again = offsetMinutes(up) * MINUTE;
  return again === shift ? up : Math.max(ms, Math.ceil((up + again) / step) * step - again);
}

/** Zooms around an instant that keeps its place on screen. */
export function zoom(view: View, around: number, factor: number): View {
  const width = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, (view.to - view.from) * factor));
  const share = (around - view.from) / (view.to - view.from);
  const from = around - share * width;
  return { from, to: from + width };
}

export function pan(view: View, ms: number): View {
  return { from: view.from + ms, to: view.to + ms };
}

export function segmentAt(segments: readonly Span[], at: number): Span | null {
  return segments.find((segment) => at >= segment.from && at < segment.to) ?? null;
}

/** The recorded span at an instant, or the first one after it. */
export function segmentFrom(segments: readonly Span[], at: number): Span | null {
  let best: Span | null = null;
  for (const segment of segments) {
    if (segment.to <= at) continue;
    if (best === null || segment.from < best.from) best = segment;
  }
  return best;
}

/** What one ticket asks for: from the instant to the end of its recorded span, at most 15 minutes. Null: nothing there. */
export function ticketSpan(segments: readonly Span[], at: number): Span | null {
  const segment = segmentFrom(segments, at);
  if (segment === null) return null;
  const from = Math.max(at, segment.from);
  const to = Math.min(segment.to, from + TICKET_MAX);
  return to - from >= 100 ? { from, to } : null;
}

/** Joins neighbours that touch or lie within the tolerance, so that a segment border is not shown as a hole. */
export function joined(spans: readonly Span[], tolerance: number): Span[] {
  const sorted = [...spans].sort((a, b) => a.from - b.from);
  const out: Span[] = [];
  for (const span of sorted) {
    const last = out.at(-1);
    if (last !== undefined && span.from - last.to <= tolerance) last.to = Math.max(last.to, span.to);
    else out.push({ ...span });
  }
  return out;
}

/** A read is looked at from a little before. */
export const LEAD_IN = 2 * SECOND;
/** Nearer than this an event counts as the one that is on screen now. */
const SAME_EVENT = 1500;

/** Where to go for the next event after an instant, or the last one before it: reads (with a lead-in) and ends of gaps. */
export function eventFrom(
  reads: readonly { at: number }[],
  gaps: readonly Gap[],
  at: number,
  direction: "next" | "previous",
): number | null {
  const all = [...reads.map((read) => read.at - LEAD_IN), ...gaps.map((gap) => gap.to)];
  const wanted =
    direction === "next" ? all.filter((one) => one > at + SECOND / 2) : all.filter((one) => one < at - SAME_EVENT);
  if (wanted.length === 0) return null;
  return direction === "next" ? Math.min(...wanted) : Math.max(...wanted);
}
