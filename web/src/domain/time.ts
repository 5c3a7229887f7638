// Time on screen is Europe/Brussels, always with its zone name; instants on the wire are RFC 3339 in UTC.

export const ZONE = "Europe/Brussels";
export type Language = "nl" | "fr" | "en";

const LOCALE: Record<Language, string> = { nl: "nl-BE", fr: "fr-BE", en: "en-GB" };

export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

const cache = new Map<string, Intl.DateTimeFormat>();

function format(language: Language, key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const id = `${language}/${key}`;
  let made = cache.get(id);
  if (made === undefined) {
    made = new Intl.DateTimeFormat(LOCALE[language], { timeZone: ZONE, hourCycle: "h23", ...options });
    cache.set(id, made);
  }
  return made;
}

/** 14:03:27 */
export function clock(ms: number, language: Language): string {
  return format(language, "clock", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}

/** 14:03 */
export function clockShort(ms: number, language: Language): string {
  return format(language, "short", { hour: "2-digit", minute: "2-digit" }).format(ms);
}

/** 22/11/2026 */
export function day(ms: number, language: Language): string {
  return format(language, "day", { day: "2-digit", month: "2-digit", year: "numeric" }).format(ms);
}

/** zo 22 nov */
export function dayShort(ms: number, language: Language): string {
  return format(language, "dayShort", { weekday: "short", day: "numeric", month: "short" }).format(ms);
}

/** 22/11/2026 14:03:27 */
export function dateTime(ms: number, language: Language): string {
  return `${day(ms, language)} ${clock(ms, language)}`;
}

/** CET or CEST: the same letters in every language, as on the wall clock of a control room. */
export function zoneName(ms: number): string {
  return offsetMinutes(ms) === 120 ? "CEST" : "CET";
}

const PARTS = new Intl.DateTimeFormat("en-GB", {
  timeZone: ZONE,
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

export interface LocalParts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

export function localParts(ms: number): LocalParts {
  const parts: Record<string, number> = {};
  for (const part of PARTS.formatToParts(ms)) parts[part.type] = Number(part.value);
  return {
    year: parts["year"] ?? 0,
    month: parts["month"] ?? 0,
    day: parts["day"] ?? 0,
    hour: parts["hour"] ?? 0,
    minute: parts["minute"] ?? 0,
    second: parts["second"] ?? 0,
  };
}

/** How far Brussels is ahead of UTC at an instant, minutes. */
export function offsetMinutes(ms: number): number {
  const at = localParts(ms);
  const local = Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute, at.second);
  return Math.round((local - Math.floor(ms / 1000) * 1000) / MINUTE);
}

/** The instant of a local date and time. In the repeated autumn hour the first one; in the missing one, an hour later. */
export function fromLocal(year: number, month: number, dayOfMonth: number, hour = 0, minute = 0, second = 0): number {
  const naive = Date.UTC(year, month - 1, dayOfMonth, hour, minute, second);
  const before = offsetMinutes(naive - 3 * HOUR);
  const first = naive - before * MINUTE;
  if (offsetMinutes(first) === before) return first;
  const second_ = naive - offsetMinutes(first) * MINUTE;
  return offsetMinutes(second_) === offsetMinutes(first) ? second_ : first;
}

/** Midnight to midnight around an instant: 23, 24 or 25 hours. */
export function dayRange(ms: number): { from: number; to: number } {
  const at = localParts(ms);
  const from = fromLocal(at.year, at.month, at.day);
  const next = new Date(Date.UTC(at.year, at.month - 1, at.day + 1));
  return { from, to: fromLocal(next.getUTCFullYear(), next.getUTCMonth() + 1, next.getUTCDate()) };
}

/** Value for `<input type="datetime-local">`. */
export function toInputValue(ms: number): string {
  const at = localParts(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${at.year}-${two(at.month)}-${two(at.day)}T${two(at.hour)}:${two(at.minute)}:${two(at.second)}`;
}

/** Reads the value of `<input type="datetime-local">`; null when empty or malformed. */
export function fromInputValue(text: string): number | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2}))?/.exec(text);
  if (match === null) return null;
  const [year, month, date, hour, minute, second] = match.slice(1).map((part) => Number(part ?? 0));
  return fromLocal(year ?? 0, month ?? 1, date ?? 1, hour ?? 0, minute ?? 0, second || 0);
}

/**
 * A moment as an operator types it: `14:03`, `14:03:27`, `22/11 14:03`, `22/11/2026 14:03:27`; `:`, `.` and `h` part the time, and
 * what is left out comes from the moment `near`. The value of `<input type="datetime-local">`, or null when malformed.
 */
export function typedMoment(text: string, near: number): string | null {
  const match = /^(?:(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}))?\s+)?(\d{1,2})[:.h](\d{2})(?:[:.](\d{2}))?$/.exec(
    text.trim(),
  );
  if (match === null) return null;
  const now = localParts(near);
  const [day_, month, year, hour, minute, second] = match
    .slice(1)
    .map((part) => (part === undefined ? null : Number(part)));
  const parts = [month ?? now.month, day_ ?? now.day, hour ?? 0, minute ?? 0, second ?? 0];
  const [m = 0, d = 0, h = 0, min = 0, sec = 0] = parts;
  const whole = new Date(Date.UTC(year ?? now.year, m - 1, d));
  if (whole.getUTCMonth() !== m - 1 || whole.getUTCDate() !== d || h > 23 || min > 59 || sec > 59) return null;
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${year ?? now.year}-${two(m)}-${two(d)}T${two(h)}:${two(min)}:${two(sec)}`;
}

/** Both instants of a local time in the hour that autumn repeats; one instant at every other time; none when malformed. */
export function instantsOf(text: string): number[] {
  const first = fromInputValue(text);
  if (first === null) return [];
  const again = first + HOUR;
  return toInputValue(again) === toInputValue(first) ? [first, again] : [first];
}

/** RFC 3339 in UTC with microseconds. */
export function toWire(ms: number): string {
  return new Date(ms).toISOString().replace(/\.(\d{3})Z$/, ".$1000Z");
}

/** Milliseconds since 1970, with the wire's microseconds as a fraction. */
export function fromWire(text: string): number {
  const whole = Date.parse(text);
  const micro = /\.\d{3}(\d{3})/.exec(text)?.[1];
  return whole + (micro === undefined ? 0 : Number(micro) / 1000);
}

/** 0.4 s, 12 s, 3 min, 2 h. */
export function span(ms: number): string {
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < 2 * MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < 2 * HOUR) return `${Math.round(ms / MINUTE)} min`;
  return `${Math.round(ms / HOUR)} h`;
}
