// Reasons of a decision: a code with values, either nested under `params` or beside the code.

export type Values = Record<string, string | number>;

export function reasonValues(reason: Record<string, unknown>): Values {
  const nested = reason["params"];
  const from = typeof nested === "object" && nested !== null ? (nested as Record<string, unknown>) : reason;
  const out: Values = {};
  for (const [key, value] of Object.entries(from)) {
    if (key === "code" || value === null || value === undefined) continue;
    out[key] = typeof value === "number" ? value : typeof value === "string" ? value : JSON.stringify(value);
  }
  return out;
}
