import { useKeys } from "../../app/useKeys";
import { MINUTE, SECOND } from "../../domain/time";
import { zoom, type View } from "../../domain/timeline";

export interface PlaybackActs {
  toggle: () => void;
  pause: () => void;
  isPaused: () => boolean;
  /** Steps through the speeds. */
  faster: (by: number) => void;
  go: (ms: number) => void;
  here: number;
  step: (frames: number) => void;
  previous: number | null;
  next: number | null;
  newest: () => void;
  view: View;
  onView: (view: View) => void;
}

/** The keys of looking back, for one camera and for several. */
export function usePlaybackKeys(acts: PlaybackActs): void {
  const { toggle, faster, go, here, step, previous, next, newest, view, onView } = acts;
  useKeys((key, event) => {
    const inside = (selector: string): boolean =>
      event.target instanceof Element && event.target.closest(selector) !== null;
    if (event.altKey) return false;
    if (inside("[role=treegrid]") && key.length > 1) return false;
    if (key === " " && inside("button,a")) return false;
    if (key.startsWith("Arrow") && inside("[role=listbox],[role=radiogroup]")) return false;
    const keys: Record<string, () => void> = {
      " ": toggle,
      k: acts.pause,
      l: () => (acts.isPaused() ? toggle() : faster(1)),
      j: () => go(here - 10 * SECOND),
      r: () => go(here - 15 * SECOND),
      ArrowLeft: () => go(here - (event.shiftKey ? MINUTE : 10 * SECOND)),
      ArrowRight: () => go(here + (event.shiftKey ? MINUTE : 10 * SECOND)),
      ",": () => step(-1),
      ".": () => step(1),
      ArrowUp: () => faster(1),
      ArrowDown: () => faster(-1),
      p: () => (previous === null ? undefined : go(previous)),
      n: () => (next === null ? undefined : go(next)),
      End: newest,
      "+": () => onView(zoom(view, here, 0.5)),
      "=": () => onView(zoom(view, here, 0.5)),
      "-": () => onView(zoom(view, here, 2)),
    };
    const act = keys[key.length === 1 ? key.toLowerCase() : key];
    if (act === undefined) return false;
    act();
    return true;
  });
}
