// Why somebody looks: purpose codes (the role table's words) and which one a profile works under by default.

export const PURPOSES = [
  "OPENBARE_ORDE",
  "INTERVENTIE",
  "GERECHTELIJK_ONDERZOEK",
  "VERMISSING",
  "VERKEERSBEHEER",
  "EVENEMENT",
  "CRISIS",
  "BRAND_MEDISCH",
  "LEZ",
  "ZBT",
  "TRAJECT",
  "TECHNISCH",
  "AUDIT",
  "KLACHT_INZAGE",
] as const;
export type PurposeCode = (typeof PURPOSES)[number];

/** What a plate may be looked for with; the server refuses the others (domain.md D3). */
export const WATCH_PURPOSES: readonly PurposeCode[] = ["GERECHTELIJK_ONDERZOEK", "VERMISSING", "OPENBARE_ORDE"];

export interface Why {
  code: PurposeCode;
  justification: string | null;
  case_ref: string | null;
  /** Reference of a magistrate's written decision, for material past its first term. */
  magistrate_ref?: string | null;
}

const BY_PROFILE: Record<string, PurposeCode> = {
  P04: "GERECHTELIJK_ONDERZOEK",
  P06: "TRAJECT",
  P07: "LEZ",
  P08: "LEZ",
  P09: "ZBT",
  P10: "ZBT",
  P11: "VERKEERSBEHEER",
  P12: "VERKEERSBEHEER",
  P14: "BRAND_MEDISCH",
  P15: "CRISIS",
  P16: "CRISIS",
  P17: "TECHNISCH",
  P18: "TECHNISCH",
  P19: "TECHNISCH",
  P20: "AUDIT",
  P21: "AUDIT",
  P22: "AUDIT",
};

export function defaultPurpose(profile: string): PurposeCode {
  return BY_PROFILE[profile] ?? "INTERVENTIE";
}

/** At least ten characters and not one character repeated (condition j of the role matrix). */
export function goodJustification(text: string): boolean {
  const bare = text.trim();
  return bare.length >= 10 && new Set(bare.replace(/\s/g, "")).size >= 4;
}

export type Need = "purpose" | "justification" | "case" | "magistrate";

/** What the role table asks for and this reason does not say yet. */
export function missing(why: Why | null, needs: readonly string[]): Need[] {
  const out: Need[] = [];
  if (needs.includes("purpose") && why === null) out.push("purpose");
  if (needs.includes("justification") && (why?.justification ?? "") === "") out.push("justification");
  if (needs.includes("case") && (why?.case_ref ?? "") === "") out.push("case");
  if (needs.includes("magistrate") && (why?.magistrate_ref ?? "") === "") out.push("magistrate");
  return out;
}
