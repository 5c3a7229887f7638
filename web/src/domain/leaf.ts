// What a leaf of the log says to a person. Leaves of uses carry their facts at the top of the details, leaves of the system one
// level deeper.

export interface LeafFacts {
  /** Log-in name of the actor, empty when it was the system itself. */
  actor: string;
  actorOrg: string;
  /** `live`, `playback`, …; empty for what is no use of a right. */
  right: string;
  camera: string;
  /** What else was acted on: a route, an object, a decision. */
  object: string;
  outcome: string;
  purpose: string;
  justification: string;
  caseRef: string;
  /** Looked-at span, ms since 1970. */
  range: { from: number; to: number } | null;
  /** Frames delivered, in closing leaves. */
  units: number | null;
}

type Bag = Record<string, unknown>;

function bag(value: unknown): Bag {
  if (typeof value === "string") {
    try {
      return bag(JSON.parse(value));
    } catch {
      return { object: value };
    }
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : {};
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : "";
}

export function leafFacts(details: unknown): LeafFacts {
  const top = bag(details);
  const inner = bag(top["details"]);
  const told = (...names: string[]): string => {
    for (const name of names) {
      const found = text(top[name]) || text(inner[name]);
      if (found !== "") return found;
    }
    return "";
  };
  const actor = bag(top["actor"]);
  const range = top["range_us"];
  const [from, to]: unknown[] = Array.isArray(range) ? range : [];
  const units = Number(told("units"));
  return {
    actor: text(actor["name"]),
    actorOrg: text(actor["org"]),
    right: told("right"),
    camera: told("camera"),
    object: told("object", "route", "flow", "partner", "user"),
    outcome: told("outcome", "ended", "why"),
    purpose: told("purpose"),
    justification: told("justification"),
    caseRef: told("case_ref"),
    range: typeof from === "number" && typeof to === "number" ? { from: from / 1000, to: to / 1000 } : null,
    units: told("units") === "" || Number.isNaN(units) ? null : units,
  };
}
