// The page's content security policy lets no text become elements or scripts (Trusted Types). One library empties its announcements by
// `innerHTML = ""`: nothing but the empty text passes here.

interface Policies {
  createPolicy(name: string, rules: { createHTML: (text: string) => string | null }): unknown;
}

/** What the default policy makes of a text: the empty one passes, every other is refused and reported. */
export const onlyEmpty = (text: string): string | null => (text === "" ? "" : null);

/** Before anything else of the page runs. */
export function startTrusted(): void {
  const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  policies?.createPolicy("default", { createHTML: onlyEmpty });
}
