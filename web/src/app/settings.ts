// What a desk remembers: brightness of the screen, single-key shortcuts on or off.

import { store } from "../domain/store";

const KEPT = "belfry.desk";

export interface Settings {
  luminance: number;
  singleKeys: boolean;
}

function kept(): Settings {
  const base: Settings = { luminance: 100, singleKeys: true };
  try {
    const raw = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Settings>;
    return {
      luminance: Math.min(100, Math.max(40, Number(raw.luminance ?? base.luminance) || 100)),
      singleKeys: raw.singleKeys ?? base.singleKeys,
    };
  } catch {
    return base;
  }
}

export const settings = store<Settings>(kept());

function apply(): void {
  const { luminance } = settings.get();
  const root = document.documentElement;
  root.toggleAttribute("data-dimmed", luminance < 100);
  root.style.setProperty("--lum", String(luminance / 100));
}

export function startSettings(): void {
  apply();
  settings.subscribe(() => {
    localStorage.setItem(KEPT, JSON.stringify(settings.get()));
    apply();
  });
}
