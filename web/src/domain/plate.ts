// Plates and confidences for people.

/** 0.9731 → "97 %"; never rounds up to a certainty that was not there. */
export function percent(confidence: number): string {
  return `${Math.floor(Math.max(0, Math.min(1, confidence)) * 100)} %`;
}

export type Trust = "high" | "middle" | "low";

export function trust(confidence: number): Trust {
  if (confidence >= 0.95) return "high";
  return confidence >= 0.8 ? "middle" : "low";
}

/** 35000, EUR → "€ 350,00" in the user's manner. */
export function money(cents: number, currency: string, language: string): string {
  return new Intl.NumberFormat(`${language === "en" ? "en-BE" : `${language}-BE`}`, {
    style: "currency",
    currency,
  }).format(cents / 100);
}
