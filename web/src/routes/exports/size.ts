const STEPS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes for people: three digits and a unit of thousands. */
export function size(bytes: number, language: string): string {
  let value = bytes;
  let step = 0;
  while (value >= 1_000 && step < STEPS.length - 1) {
    value /= 1_000;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
  return `${text} ${STEPS[step] ?? "B"}`;
}

/** A fingerprint in groups of four, for reading aloud. */
export function spoken(fingerprint: string): string {
  return (fingerprint.match(/.{1,4}/g) ?? []).join(" ");
}
