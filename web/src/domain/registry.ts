// The registry's answer as rows of field and text, whatever its nesting.

export interface RegistryRow {
  field: string;
  text: string;
}

/** A token of the vehicle for machines; it tells a person nothing. */
const HIDDEN = ["vehicle_key"];

export function registryRows(answer: unknown): RegistryRow[] {
  const out: RegistryRow[] = [];
  collect(answer, "answer", out);
  return out;
}

function collect(value: unknown, field: string, out: RegistryRow[]): void {
  if (value === null || value === undefined || value === "") return;
  if (Array.isArray(value)) {
    const text = value.map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one))).join(", ");
    if (text !== "") out.push({ field, text });
    return;
  }
  if (typeof value !== "object") {
    out.push({ field, text: typeof value === "boolean" ? (value ? "✓" : "–") : String(value) });
    return;
  }
  const parts = value as Record<string, unknown>;
  // A stated norm carries its text and where it comes from.
  if (typeof parts["text"] === "string") {
    out.push({ field, text: parts["text"] });
    return;
  }
  for (const [key, part] of Object.entries(parts)) if (!HIDDEN.includes(key)) collect(part, key, out);
}
