import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import type { Language } from "../domain/time";
import en from "./en.json";
import fr from "./fr.json";
import nl from "./nl.json";

export const LANGUAGES: readonly Language[] = ["nl", "fr", "en"];
const REMEMBERED = "belfry.language";

function isLanguage(text: string | null | undefined): text is Language {
  return text === "nl" || text === "fr" || text === "en";
}

/** Before log-in: the one used last at this desk, else the browser's, else Dutch. */
function firstLanguage(): Language {
  const remembered = localStorage.getItem(REMEMBERED);
  if (isLanguage(remembered)) return remembered;
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find(isLanguage);
  return wanted ?? "nl";
}

export async function startI18n(): Promise<void> {
  await i18next.use(initReactI18next).init({
    resources: { nl: { translation: nl }, fr: { translation: fr }, en: { translation: en } },
    lng: firstLanguage(),
    fallbackLng: false,
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  document.documentElement.lang = i18next.language;
}

export function setLanguage(language: string): void {
  if (!isLanguage(language) || i18next.language === language) return;
  localStorage.setItem(REMEMBERED, language);
  document.documentElement.lang = language;
  void i18next.changeLanguage(language);
}
