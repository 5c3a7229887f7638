import { useEffect, useRef, useState } from "react";
import { useWords } from "../../app/useWords";
import { pan, segmentAt, ticks, zoom, type ClockMark, type Gap, type Span, type View } from "../../domain/timeline";
import { drawTimeline, LANE_H } from "../../player/timelineCanvas";
import { ScrubPicture } from "./ScrubPicture";
import type { Preview } from "./usePreview";

interface TimelineProps {
  view: View;
  onView: (view: View) => void;
  recorded: readonly Span[];
  gaps: readonly Gap[];
  reads: readonly { at: number; id: string }[];
  clocks?: readonly ClockMark[];
  /** Other cameras under the same playhead, as thin bars. */
  others?: readonly { recorded: readonly Span[]; gaps: readonly Gap[] }[];
  at: number | null;
  onGo: (ms: number) => void;
  /** Null: no pictures under the pointer. */
  preview: Preview | null;
}

const NO_OTHERS: NonNullable<TimelineProps["others"]> = [];
const NO_CLOCKS: readonly ClockMark[] = [];
/** The pointer is on a mark within so many pixels. */
const MARK_PX = 5;
/** The scrub cursor moves by this share of the view. */
const SCRUB_SHARE = 1 / 40;

const TICK_PX = 96;
const DRAG_PX = 4;

/**
 * Recorded spans, gaps and reads over time. Drag moves the view, wheel zooms, a click goes there. The pointer, or Page Up and Page Down,
 * move a second cursor that shows the picture of its instant; Enter goes there.
 */
export function Timeline({
  view,
  onView,
  recorded,
  gaps,
  reads,
  clocks = NO_CLOCKS,
  others = NO_OTHERS,
  at,
  onGo,
  preview,
}: TimelineProps) {
  const { t, code, time, language } = useWords();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<number | null>(null);
  const [focused, setFocused] = useState(false);
  const [width, setWidth] = useState(800);
  const drag = useRef<{ x: number; view: View; moved: boolean } | null>(null);

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  const stateAt = (ms: number): string => {
    const near = (MARK_PX / width) * (view.to - view.from);
    const mark = clocks.find((one) => Math.abs(one.at - ms) <= near);
    if (mark !== undefined) return code("clockMark", mark.what);
    const gap = gaps.find((one) => ms >= one.from && ms < one.to);
    if (gap !== undefined) return t("timeline.gap", { cause: code("cause", gap.cause) });
    return segmentAt(recorded, ms) !== null ? t("timeline.recorded") : t("timeline.nothing");
  };
  const hoverLabel = hover === null ? "" : `${time(hover)} · ${stateAt(hover)}`;

  useEffect(() => {
    if (canvas.current === null) return;
    drawTimeline(canvas.current, {
      view,
      recorded,
      gaps,
      reads: reads.map((read) => read.at),
      clocks,
      others,
      ticks: ticks(view, Math.max(2, width / TICK_PX), language),
      playhead: at,
      hover,
      hoverLabel,
      now: Date.now(),
      focused,
    });
  }, [view, recorded, gaps, reads, clocks, others, at, hover, hoverLabel, focused, width, language]);

  const msAt = (clientX: number): number => {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return view.from;
    return view.from + ((clientX - box.left) / box.width) * (view.to - view.from);
  };

  // React listens to wheels passively; zooming must keep the page still.
  const latest = useRef({ view, onView });
  useEffect(() => {
    latest.current = { view, onView };
  });
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault();
      const { view: before, onView: change } = latest.current;
      const box = element.getBoundingClientRect();
      const around = before.from + ((event.clientX - box.left) / box.width) * (before.to - before.from);
      change(
        event.shiftKey
          ? pan(before, (event.deltaY / 600) * (before.to - before.from))
          : zoom(before, around, event.deltaY > 0 ? 1.25 : 0.8),
      );
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);

  const value = hover !== null && focused ? hover : (at ?? view.from);
  const scrub = (by: number): void => {
    const step = (view.to - view.from) * SCRUB_SHARE;
    setHover(Math.min(view.to, Math.max(view.from, (hover ?? at ?? view.to) + by * step)));
  };
  return (
    <div className="relative">
      {hover !== null && preview !== null ? (
        <ScrubPicture at={hover} left={((hover - view.from) / (view.to - view.from)) * width} preview={preview} />
      ) : null}
      <canvas
        ref={canvas}
        role="slider"
        tabIndex={0}
        aria-label={t("timeline.label")}
        aria-valuemin={Math.round(view.from)}
        aria-valuemax={Math.round(view.to)}
        aria-valuenow={Math.round(value)}
        aria-valuetext={`${time(value)}, ${stateAt(value)}`}
        aria-keyshortcuts="PageUp PageDown Enter"
        className="block w-full cursor-pointer touch-none"
        style={{ height: 92 + others.length * LANE_H }}
        onFocus={() => setFocused(true)}
        onBlur={() => {
          setFocused(false);
          setHover(null);
        }}
        onKeyDown={(event) => {
          if (event.key === "PageUp") scrub(-1);
          else if (event.key === "PageDown") scrub(1);
          else if (event.key === "Escape") setHover(null);
          else if (event.key === "Enter" && hover !== null) onGo(hover);
          else return;
          event.preventDefault();
        }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { x: event.clientX, view, moved: false };
        }}
        onPointerMove={(event) => {
          setHover(msAt(event.clientX));
          const begun = drag.current;
          if (begun === null) return;
          if (Math.abs(event.clientX - begun.x) > DRAG_PX) begun.moved = true;
          if (begun.moved)
            onView(pan(begun.view, ((begun.x - event.clientX) / width) * (begun.view.to - begun.view.from)));
        }}
        onPointerUp={(event) => {
          if (drag.current !== null && !drag.current.moved) onGo(msAt(event.clientX));
          drag.current = null;
        }}
        onPointerLeave={() => setHover(null)}
      />
    </div>
  );
}
