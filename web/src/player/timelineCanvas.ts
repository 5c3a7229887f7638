// Draws the timeline. No framework: values in, pixels out.

import type { ClockMark, Gap, Span, Tick, View } from "../domain/timeline";

export interface TimelineScene {
  view: View;
  recorded: readonly Span[];
  gaps: readonly Gap[];
  reads: readonly number[];
  clocks: readonly ClockMark[];
  /** Other cameras, as thin bars below. */
  others: readonly { recorded: readonly Span[]; gaps: readonly Gap[] }[];
  ticks: readonly Tick[];
  playhead: number | null;
  hover: number | null;
  /** What stands beside the pointer: the instant and what is there. */
  hoverLabel: string;
  now: number;
  focused: boolean;
}

const TICKS_H = 22;
const READS_H = 14;
/** One thin bar with the space above it. */
export const LANE_H = 9;
const COLOURS = {
  back: "#0a0e13",
  line: "#27333f",
  day: "#5d7185",
  text: "#a3b3c2",
  strong: "#e4ebf2",
  recorded: "#2f8f66",
  gap: "#7c2f2c",
  gapStripe: "#ff7b74",
  read: "#f4b740",
  clock: "#c79bff",
  future: "#10161d",
  playhead: "#ffffff",
  hover: "#62c6ff",
  label: "#18212b",
};

export function drawTimeline(canvas: HTMLCanvasElement, scene: TimelineScene): void {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width === 0 || height === 0) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const g = canvas.getContext("2d");
  if (g === null) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  const { view } = scene;
  const x = (ms: number): number => ((ms - view.from) / (view.to - view.from)) * width;
  g.fillStyle = COLOURS.back;
  g.fillRect(0, 0, width, height);
  const barTop = TICKS_H;
  const lanesTop = height - READS_H - scene.others.length * LANE_H;
  const barH = lanesTop - TICKS_H - 4;
  drawTicks(g, scene, x, height);
  drawBars(g, scene, x, width, barTop, barH);
  scene.others.forEach((other, lane) => {
    drawBars(g, { ...scene, ...other }, x, width, lanesTop + lane * LANE_H, LANE_H - 3);
  });
  drawClocks(g, scene, x, barTop, barH);
  g.fillStyle = COLOURS.read;
  for (const read of scene.reads) {
    const at = x(read);
    if (at >= -1 && at <= width + 1) g.fillRect(Math.round(at) - 1, height - READS_H, 2, READS_H - 2);
  }
  drawHeads(g, scene, x, width, height);
}

type Place = (ms: number) => number;

function drawTicks(g: CanvasRenderingContext2D, scene: TimelineScene, x: Place, height: number): void {
  g.font = '11px "Inter Variable", system-ui, sans-serif';
  g.textBaseline = "middle";
  for (const tick of scene.ticks) {
    const at = Math.round(x(tick.at)) + 0.5;
    g.strokeStyle = tick.day ? COLOURS.day : COLOURS.line;
    g.beginPath();
    g.moveTo(at, tick.day ? 0 : 14);
    g.lineTo(at, height);
    g.stroke();
    g.fillStyle = tick.day ? COLOURS.strong : COLOURS.text;
    g.fillText(tick.label, at + 4, 10);
  }
}

function drawBars(
  g: CanvasRenderingContext2D,
  scene: TimelineScene,
  x: Place,
  width: number,
  top: number,
  height: number,
): void {
  const bar = (from: number, to: number): [number, number] => {
    const a = Math.max(0, x(from));
    return [a, Math.max(1, Math.min(width, x(to)) - a)];
  };
  const seen = (span: Span): boolean => span.to > scene.view.from && span.from < scene.view.to;
  g.fillStyle = COLOURS.recorded;
  for (const span of scene.recorded.filter(seen)) {
    const [a, w] = bar(span.from, span.to);
    g.fillRect(a, top, w, height);
  }
  // Gaps differ from recordings by height and stripes too, not by colour alone.
  for (const gap of scene.gaps.filter(seen)) {
    const [a, w] = bar(gap.from, gap.to);
    g.fillStyle = COLOURS.gap;
    g.fillRect(a, top + height * 0.35, w, height * 0.3);
    g.save();
    g.beginPath();
    g.rect(a, top + height * 0.35, w, height * 0.3);
    g.clip();
    g.strokeStyle = COLOURS.gapStripe;
    for (let stripe = a - height; stripe < a + w; stripe += 7) {
      g.beginPath();
      g.moveTo(stripe, top + height);
      g.lineTo(stripe + height, top);
      g.stroke();
    }
    g.restore();
  }
  const now = x(scene.now);
  if (now < width) {
    g.fillStyle = COLOURS.future;
    g.fillRect(Math.max(0, now), top, width, height);
  }
}

/** A step of a clock: a dashed line with a small square on it, so that it differs from a playhead by shape too. */
function drawClocks(g: CanvasRenderingContext2D, scene: TimelineScene, x: Place, top: number, height: number): void {
  g.strokeStyle = COLOURS.clock;
  g.fillStyle = COLOURS.clock;
  g.setLineDash([2, 2]);
  for (const mark of scene.clocks) {
    if (mark.at < scene.view.from || mark.at >= scene.view.to) continue;
    const at = Math.round(x(mark.at)) + 0.5;
    g.beginPath();
    g.moveTo(at, top);
    g.lineTo(at, top + height);
    g.stroke();
    g.fillRect(at - 3, top, 6, 6);
  }
  g.setLineDash([]);
}

function drawHoverLabel(g: CanvasRenderingContext2D, text: string, at: number, width: number, height: number): void {
  const wide = g.measureText(text).width + 12;
  const left = Math.max(0, Math.min(width - wide, at + 8));
  const top = height / 2 - 10;
  g.fillStyle = COLOURS.label;
  g.fillRect(left, top, wide, 20);
  g.fillStyle = COLOURS.strong;
  g.fillText(text, left + 6, top + 11);
}

function drawHeads(g: CanvasRenderingContext2D, scene: TimelineScene, x: Place, width: number, height: number): void {
  if (scene.hover !== null) {
    g.strokeStyle = COLOURS.hover;
    g.setLineDash([3, 3]);
    g.beginPath();
    g.moveTo(Math.round(x(scene.hover)) + 0.5, 0);
    g.lineTo(Math.round(x(scene.hover)) + 0.5, height);
    g.stroke();
    g.setLineDash([]);
    drawHoverLabel(g, scene.hoverLabel, x(scene.hover), width, height);
  }
  if (scene.playhead === null) return;
  const at = Math.round(x(scene.playhead));
  g.fillStyle = COLOURS.playhead;
  g.fillRect(at - 1, 0, 2, height);
  g.beginPath();
  g.moveTo(at - 6, 0);
  g.lineTo(at + 6, 0);
  g.lineTo(at, 9);
  g.fill();
}
