import { useCallback, useEffect, useRef, type RefObject } from "react";

const DEFAULT_S = 0.04;

/**
 * Steps by whole frames: the length of a frame is learned from the frames that were shown, and each step lands in the middle
 * of a frame, so that rounding never shows the same frame twice.
 */
export function useFrameStep(video: RefObject<HTMLVideoElement | null>, active: boolean): (frames: number) => void {
  const length = useRef(DEFAULT_S);
  const shown = useRef<number | null>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null || !active) return undefined;
    shown.current = null;
    let handle = 0;
    let count = 0;
    const watch = (): void => {
      handle = element.requestVideoFrameCallback((_now, meta) => {
        const before = shown.current;
        const frames = meta.presentedFrames - count;
        // Only neighbours tell the length of a frame; after a seek the difference is something else.
        if (before !== null && frames === 1 && !element.seeking && element.playbackRate <= 1) {
          const difference = meta.mediaTime - before;
          if (difference > 0.005 && difference < 0.5) length.current = difference;
        }
        shown.current = meta.mediaTime;
        count = meta.presentedFrames;
        watch();
      });
    };
    watch();
    return () => element.cancelVideoFrameCallback(handle);
  }, [video, active]);
  return useCallback(
    (frames: number) => {
      const element = video.current;
      if (element === null) return;
      element.pause();
      const from = shown.current ?? element.currentTime;
      element.currentTime = Math.max(0, from + (frames + 0.5) * length.current);
    },
    [video],
  );
}
