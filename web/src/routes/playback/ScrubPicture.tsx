import { useEffect, useRef, useState } from "react";
import { useWords } from "../../app/useWords";
import type { Preview } from "./usePreview";

/** Wait for the pointer to rest for so long before a picture is asked for, ms. */
const REST_MS = 60;

/** The picture at the pointer of the timeline, with the instant at which it was taken. */
export function ScrubPicture({ at, left, preview }: { at: number; left: number; preview: Preview }) {
  const { t, time } = useWords();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [taken, setTaken] = useState<number | null>(null);
  useEffect(() => {
    let gone = false;
    const timer = setTimeout(() => {
      preview(at, (picture, when) => {
        const element = canvas.current;
        if (gone || element === null) return;
        element.width = picture.width;
        element.height = picture.height;
        element.getContext("2d")?.drawImage(picture, 0, 0);
        setTaken(when);
      });
    }, REST_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [at, preview]);
  return (
    <figure
      className="pointer-events-none absolute bottom-full z-10 mb-1 -translate-x-1/2 rounded border border-edge bg-panel p-1 shadow-lg"
      style={{ left: `clamp(122px, ${left}px, calc(100% - 122px))`, visibility: taken === null ? "hidden" : "visible" }}
      data-scrub={taken ?? undefined}
    >
      <canvas
        ref={canvas}
        className="block w-56"
        role="img"
        aria-label={taken === null ? t("playback.preview", { time: "" }) : t("playback.preview", { time: time(taken) })}
      />
      <figcaption className="text-center text-xs tabular-nums">{taken === null ? "" : time(taken)}</figcaption>
    </figure>
  );
}
