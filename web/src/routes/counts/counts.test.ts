import i18n from "i18next";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { I18nextProvider, initReactI18next } from "react-i18next";
import { beforeAll, describe, expect, it } from "vitest";
import type { Result } from "../../api/http";
import { allPages } from "../../api/statistics";
import type { Page } from "../../api/types";
import { allowedPages } from "../../app/pages";
import type { Bar } from "../../domain/counts";
import en from "../../i18n/en.json";
import fr from "../../i18n/fr.json";
import nl from "../../i18n/nl.json";
import { Bars } from "./Bars";
import { dayBeside, dayOf, dayText } from "./day";
import { CountTable } from "./SiteDay";

const FROM = Date.parse("2026-11-22T07:00:00Z");
const QUARTER = 900_000;
const bar = (n: number, kind: Bar["kind"], value = 0): Bar => ({
  from: FROM + n * QUARTER,
  to: FROM + (n + 1) * QUARTER,
  kind,
  value,
});
const BARS = [bar(0, "counted", 37), bar(1, "small"), bar(2, "missing")];

beforeAll(async () => {
  const resources = { en: { translation: en }, nl: { translation: nl }, fr: { translation: fr } };
  await i18n.use(initReactI18next).init({ lng: "en", resources, interpolation: { escapeValue: false } });
});

const drawn = async (language: string, what: React.ReactElement): Promise<string> => {
  await i18n.changeLanguage(language);
  return renderToStaticMarkup(createElement(I18nextProvider, { i18n }, what));
};

describe("a number that is held back", () => {
  it.each([
    ["en", "held back (too few vehicles)", "no number"],
    ["nl", "niet getoond (te weinig voertuigen)", "geen getal"],
    ["fr", "non montré (trop peu de véhicules)", "pas de nombre"],
  ])("is told as such in the table, in %s", async (language, small, missing) => {
    const html = await drawn(language, createElement(CountTable, { bars: BARS, caption: "S1" }));
    const cells = [...html.matchAll(/<tr>.*?<\/tr>/g)].map(([row]) => row.replace(/<[^>]+>/g, " ").trim());
    expect(cells.slice(1).map((cell) => cell.replace(/\s+/g, " "))).toEqual([
      "08:00–08:15 37",
      `08:15–08:30 ${small}`,
      `08:30–08:45 ${missing}`,
    ]);
  });
  it("is a column without a height in the picture, and what is missing is bare", async () => {
    const span = { from: FROM, to: FROM + 4 * QUARTER };
    const html = await drawn("en", createElement(Bars, { bars: BARS, span, label: "S1", top: 50, text: String }));
    const columns = [...html.matchAll(/<rect [^>]*height="([\d.]+)"[^>]*>.*?<title>([^<]*)<\/title>/g)];
    expect(columns.map(([, , title]) => title)).toEqual([
      "08:00–08:15: 37",
      "08:15–08:30: held back (too few vehicles)",
    ]);
    // As high as the picture, whatever the number would be.
    expect(Number(columns[1]?.[1])).toBe(186);
    expect(html).toContain('role="img" aria-label="S1"');
  });
});

describe("days", () => {
  const now = Date.parse("2026-10-25T12:00:00Z");
  it("are those of Brussels, with 25 hours in autumn", () => {
    const day = dayOf(dayText(now), now);
    if (day === null) throw new Error("no day");
    expect([(day.span.to - day.span.from) / 3_600_000, day.runs]).toEqual([25, true]);
    expect([dayBeside(day, -1), dayBeside(day, 1)]).toEqual(["2026-10-24", "2026-10-26"]);
    expect(dayOf("2026-10-24", now)?.runs).toBe(false);
  });
  it.each(["", "2026-13-01", "yesterday"])("%j is none", (text) => expect(dayOf(text, now)).toBeNull());
});

describe("the page", () => {
  it("is in the navigation for those who may alone", () => {
    const has = (rights: string[]): boolean => allowedPages(rights).some((page) => page.key === "counts");
    expect([has(["statistics.view"]), has(["live", "statistics.technical"]), has([])]).toEqual([true, false, false]);
  });
  it("reads all pages of a day, and throws what the server says", async () => {
    const page = (cursor: string | null): Result<Page<number>> => ({
      ok: true,
      etag: null,
      value: { items: [Number(cursor ?? 0)], next_cursor: cursor === "2" ? null : String(Number(cursor ?? 0) + 1) },
    });
    expect(await allPages((cursor) => Promise.resolve(page(cursor)))).toEqual([0, 1, 2]);
    const problem = { status: 409, code: "no_such_service", detail: null, errors: [] };
    await expect(allPages(() => Promise.resolve({ ok: false, problem }))).rejects.toThrow("no_such_service");
  });
});
