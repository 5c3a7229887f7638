import { useEffect, useRef } from "react";
import { settings } from "./settings";

/** True while somebody types text or a dialog is open. */
export function keysTaken(event: KeyboardEvent): boolean {
  if (event.defaultPrevented) return true;
  const target = event.target instanceof Element ? event.target : null;
  if (
    target !== null &&
    target.closest("input:not([type=checkbox]):not([type=range]),textarea,select,[contenteditable]") !== null
  )
    return true;
  return document.querySelector("[role=dialog],[role=alertdialog],[role=menu]") !== null;
}

/** Single-key shortcuts of a page; off while typing, in dialogs, or when the user has switched them off (WCAG 2.1.4). */
export function useKeys(handler: (key: string, event: KeyboardEvent) => boolean | void): void {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (keysTaken(event) || event.ctrlKey || event.metaKey) return;
      if (event.key.length === 1 && !event.altKey && !settings.get().singleKeys) return;
      if (latest.current(event.key, event) === true) {
        event.preventDefault();
        event.stopPropagation();
      }
    };
    window.addEventListener("keydown", onKey, true);
    return () => window.removeEventListener("keydown", onKey, true);
  }, []);
}
