// What both ways of looking back share: the span asked of the server, speeds, and how many cameras go together.

import { MINUTE, toWire } from "../../domain/time";
import type { View } from "../../domain/timeline";

export const RATES = [0.25, 0.5, 1, 2, 4, 8];
/** Cameras under one playhead. */
export const TOGETHER_MAX = 9;

export interface PageProps {
  /** The instant wished for, ms; null: the newest. */
  at: number | null;
  /** Told where the playhead is, so that another camera can join there. */
  onHead: (ms: number) => void;
}

export function firstView(at: number): View {
  return { from: at - 12 * MINUTE, to: at + 3 * MINUTE };
}

/** The span asked of the server: wider than the view and on a grid, so that small moves ask nothing new. */
export function asked(view: View): { from: string; to: string; live: boolean } {
  const width = view.to - view.from;
  const grid = Math.max(MINUTE, 2 ** Math.ceil(Math.log2(width)));
  const from = Math.floor((view.from - width / 2) / grid) * grid;
  const to = Math.ceil((view.to + width / 2) / grid) * grid;
  return { from: toWire(from), to: toWire(to), live: to > Date.now() };
}
