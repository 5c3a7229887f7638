import {
  ChevronFirst,
  ChevronLast,
  Minus,
  PackageCheck,
  Pause,
  Play,
  Plus,
  RotateCcw,
  Snowflake,
  SkipForward,
  StepBack,
  StepForward,
} from "lucide-react";
import { useState } from "react";
import { useWords } from "../../app/useWords";
import { Button } from "../../components/ui";
import { dateTime, dayRange, instantsOf, SECOND, typedMoment, zoneName } from "../../domain/time";
import { zoom, type View } from "../../domain/timeline";

export function PlaybackBar({
  paused,
  at,
  rate,
  rates,
  onRate,
  onToggle,
  onGo,
  onNewest,
  onStep,
  onPrevious,
  onNext,
  view,
  onView,
  onHold,
  onExport,
}: {
  paused: boolean;
  at: number | null;
  rate: number;
  rates: readonly number[];
  onRate: (rate: number) => void;
  onToggle: () => void;
  onGo: (ms: number) => void;
  onNewest: () => void;
  onStep: (frames: number) => void;
  /** Null: there is none in the span that is loaded. */
  onPrevious: (() => void) | null;
  onNext: (() => void) | null;
  view: View;
  onView: (view: View) => void;
  /** Null: the person may not hold footage. */
  onHold: (() => void) | null;
  /** Null: the person may not order exports. */
  onExport: (() => void) | null;
}) {
  const { t } = useWords();
  const here = at ?? (view.from + view.to) / 2;
  return (
    <div className="flex flex-wrap items-center gap-2 border-t border-line bg-panel px-2 py-1.5">
      <Button
        onPress={() => onPrevious?.()}
        isDisabled={onPrevious === null}
        aria-label={t("playback.previous")}
        className="!px-1.5"
      >
        <ChevronFirst size={16} aria-hidden />
      </Button>
      <Button onPress={() => onGo(here - 15 * SECOND)} aria-label={t("playback.back15")}>
        <RotateCcw size={15} aria-hidden /> 15 s
      </Button>
      <Button onPress={() => onStep(-1)} aria-label={t("playback.frameBack")} className="!px-1.5">
        <StepBack size={15} aria-hidden />
      </Button>
      <Button
        look="primary"
        onPress={onToggle}
        className="!min-w-11"
        aria-label={paused ? t("playback.play") : t("playback.pause")}
      >
        {paused ? <Play size={17} aria-hidden /> : <Pause size={17} aria-hidden />}
      </Button>
      <Button onPress={() => onStep(1)} aria-label={t("playback.frameOn")} className="!px-1.5">
        <StepForward size={15} aria-hidden />
      </Button>
      <Button
        onPress={() => onNext?.()}
        isDisabled={onNext === null}
        aria-label={t("playback.next")}
        className="!px-1.5"
      >
        <ChevronLast size={16} aria-hidden />
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
        {onHold === null ? null : (
          <Button onPress={onHold}>
            <Snowflake size={15} aria-hidden />
            {t("holds.hold")}
          </Button>
        )}
        {onExport === null ? null : (
          <Button onPress={onExport}>
            <PackageCheck size={15} aria-hidden />
            {t("exports.export")}
          </Button>
        )}
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

/** A moment of Brussels, typed in: only the time, or with its day. */
function GoTo({ at, onGo }: { at: number | null; onGo: (ms: number) => void }) {
  const { t, language } = useWords();
  const [text, setText] = useState<string | null>(null);
  const [second, setSecond] = useState(false);
  const near = at ?? Date.now();
  const typed = text === null ? null : typedMoment(text, near);
  // In the hour that autumn repeats, which of the two is meant?
  const instants = typed === null ? [] : instantsOf(typed);
  return (
    <form
      className="flex items-center gap-1.5"
      onSubmit={(event) => {
        event.preventDefault();
        const ms = instants[second && instants.length > 1 ? 1 : 0];
        if (ms === undefined) return;
        onGo(ms);
        setText(null);
        setSecond(false);
      }}
    >
      <label className="flex items-center gap-1.5 text-muted">
        {t("playback.moment")}
        <input
          type="text"
          spellCheck={false}
          autoComplete="off"
          title={t("playback.momentHint")}
          aria-invalid={text !== null && text !== "" && typed === null}
          className="field !w-40 tabular-nums"
          value={text ?? dateTime(near, language)}
          onFocus={(event) => event.currentTarget.select()}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setText(null);
          }}
        />
      </label>
      {instants.length > 1 ? (
        <select
          className="field !w-24"
          aria-label={t("playback.twice")}
          title={t("playback.twice")}
          value={second ? "1" : "0"}
          onChange={(event) => setSecond(event.target.value === "1")}
        >
          {instants.map((ms, index) => (
            <option key={ms} value={String(index)}>
              {zoneName(ms)}
            </option>
          ))}
        </select>
      ) : null}
      <Button type="submit" isDisabled={typed === null}>
        {t("playback.go")}
      </Button>
    </form>
  );
}
