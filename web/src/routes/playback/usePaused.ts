import { useEffect, useState, type RefObject } from "react";

/** Whether the picture stands. */
export function usePaused(video: RefObject<HTMLVideoElement | null>): boolean {
  const [paused, setPaused] = useState(true);
  useEffect(() => {
    const element = video.current;
    if (element === null) return undefined;
    const sync = (): void => setPaused(element.paused);
    element.addEventListener("play", sync);
    element.addEventListener("pause", sync);
    return () => {
      element.removeEventListener("play", sync);
      element.removeEventListener("pause", sync);
    };
  }, [video]);
  return paused;
}
