// Says something to a screen reader at once. By its words, where react-aria's own announcer refers to an element: a button often goes with its step, and
// then there is nothing left to read. The attribute keeps the region heard while a dialog hides the rest of the page.

const STAYS_MS = 7_000;
let region: HTMLElement | null = null;

/** Readers hear only what comes into a region that was there before. */
export function prepareToSay(): void {
  if (region?.isConnected === true) return;
  region = document.createElement("div");
  region.className = "sr-only";
  region.dataset["liveAnnouncer"] = "true";
  region.setAttribute("role", "log");
  region.setAttribute("aria-live", "assertive");
  region.setAttribute("aria-relevant", "additions");
  document.body.prepend(region);
}

export function say(words: string): void {
  prepareToSay();
  const line = document.createElement("div");
  line.textContent = words;
  region?.append(line);
  setTimeout(() => line.remove(), STAYS_MS);
}
