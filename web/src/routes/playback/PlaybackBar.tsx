import { Minus, Pause, Play, Plus, RotateCcw, SkipForward } from "lucide-react";
import { useEffect, useState, type RefObject } from "react";
import { useWords } from "../../app/useWords";
import { Button } from "../../components/ui";
import { dayRange, fromInputValue, SECOND, toInputValue } from "../../domain/time";
import { zoom, type View } from "../../domain/timeline";

export function PlaybackBar({
  video,
  at,
  rate,
  rates,
  onRate,
  onToggle,
  onGo,
  onNewest,
  view,
  onView,
}: {
  video: RefObject<HTMLVideoElement | null>;
  at: number | null;
  rate: number;
  rates: readonly number[];
  onRate: (rate: number) => void;
  onToggle: () => void;
  onGo: (ms: number) => void;
  onNewest: () => void;
  view: View;
  onView: (view: View) => void;
}) {
  const { t } = useWords();
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
  const here = at ?? (view.from + view.to) / 2;
  return (
    <div className="flex flex-wrap items-center gap-2 border-t border-line bg-panel px-2 py-1.5">
      <Button onPress={() => onGo(here - 15 * SECOND)} aria-label={t("playback.back15")}>
        <RotateCcw size={15} aria-hidden /> 15 s
      </Button>
      <Button
        look="primary"
        onPress={onToggle}
        className="!min-w-11"
        aria-label={paused ? t("playback.play") : t("playback.pause")}
      >
        {paused ? <Play size={17} aria-hidden /> : <Pause size={17} aria-hidden />}
      </Button>
      <Button onPress={onNewest}>
        <SkipForward size={15} aria-hidden />
        {t("playback.newest")}
      </Button>
      <label className="flex items-center gap-1.5 text-muted">
        {t("playback.rate")}
        <select className="field !w-20" value={rate} onChange={(event) => onRate(Number(event.target.value))}>
          {rates.map((one) => (
            <option key={one} value={one}>
              {one}×
            </option>
          ))}
        </select>
      </label>
      <GoTo at={at} onGo={onGo} />
      <span className="ml-auto flex gap-1">
        <Button onPress={() => onView(dayRange(here))}>{t("playback.day")}</Button>
        <Button onPress={() => onView(zoom(view, here, 2))} aria-label={t("playback.zoomOut")}>
          <Minus size={15} aria-hidden />
        </Button>
        <Button onPress={() => onView(zoom(view, here, 0.5))} aria-label={t("playback.zoomIn")}>
          <Plus size={15} aria-hidden />
        </Button>
      </span>
    </div>
  );
}

/** Date and time of Brussels, typed in. */
function GoTo({ at, onGo }: { at: number | null; onGo: (ms: number) => void }) {
  const { t } = useWords();
  const [text, setText] = useState<string | null>(null);
  const value = text ?? toInputValue(at ?? Date.now());
  return (
    <form
      className="flex items-center gap-1.5"
      onSubmit={(event) => {
        event.preventDefault();
        const ms = fromInputValue(value);
        if (ms !== null) onGo(ms);
        setText(null);
      }}
    >
      <label className="flex items-center gap-1.5 text-muted">
        {t("playback.moment")}
        <input
          type="datetime-local"
          step={1}
          className="field !w-52 tabular-nums"
          value={value}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      <Button type="submit" isDisabled={text === null}>
        {t("playback.go")}
      </Button>
    </form>
  );
}
