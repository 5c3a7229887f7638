// What an identity provider put into the address of the page.

/** Where the provider sends the browser back to. */
export const ANSWER_PAGE = "/login/answer";

export interface ProviderAnswer {
  code: string;
  state: string;
  iss?: string;
}

let taken = false;

/** The answer in the page's address, the first time that somebody asks for it. */
export function takeAnswer(): string | null {
  if (taken || window.location.pathname !== ANSWER_PAGE) return null;
  taken = true;
  return window.location.search;
}

/** Reads it; null for a refusal of the provider, and for anything that is not exactly one code and one state. */
export function answerOf(search: string): ProviderAnswer | null {
  const values = new URLSearchParams(search);
  const one = (name: string): string | null => {
    const all = values.getAll(name);
    return all.length === 1 && all[0] !== "" ? (all[0] ?? null) : null;
  };
  const [code, state, iss] = [one("code"), one("state"), one("iss")];
  if (values.has("error") || code === null || state === null) return null;
  return iss === null ? { code, state } : { code, state, iss };
}
