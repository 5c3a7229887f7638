// Areas of a still in thousandths of the picture: left, top, right, bottom; the last two are the first ones outside.

export type Area = [number, number, number, number];

const WHOLE = 1_000;

const within = (value: number): number => Math.min(WHOLE, Math.max(0, Math.round(value)));

/** The area between two corners, each as a share of the picture (0 to 1); null when it is empty. */
export function areaBetween(a: { x: number; y: number }, b: { x: number; y: number }): Area | null {
  const [left, right] = [within(Math.min(a.x, b.x) * WHOLE), within(Math.max(a.x, b.x) * WHOLE)];
  const [top, bottom] = [within(Math.min(a.y, b.y) * WHOLE), within(Math.max(a.y, b.y) * WHOLE)];
  return left < right && top < bottom ? [left, top, right, bottom] : null;
}

/** Whole per cent of the picture that an area covers, rounded up. */
export function percentOf([left, top, right, bottom]: Area): number {
  return Math.ceil(((right - left) * (bottom - top)) / 10_000);
}

/** An area typed as four numbers in per cent, with blanks or commas between; null when it is none. */
export function parseArea(text: string): Area | null {
  const parts = text.trim().split(/[\s,;]+/);
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part))) return null;
  const [left = 0, top = 0, right = 0, bottom = 0] = parts.map(Number);
  if (right > 100 || bottom > 100 || left >= right || top >= bottom) return null;
  return [left * 10, top * 10, right * 10, bottom * 10];
}

export function areaText(area: Area): string {
  return area.map((value) => Math.round(value / 10)).join(" ");
}
