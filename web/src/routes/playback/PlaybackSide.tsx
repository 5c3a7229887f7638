import { Car, CircleSlash, ClockAlert } from "lucide-react";
import { useWords } from "../../app/useWords";
import { clock, span } from "../../domain/time";
import type { ClockMark, Gap, View } from "../../domain/timeline";

const LISTED = 100;

/** The list twin of the timeline: gaps with their causes, steps of clocks, and reads, of the span in view. */
export function PlaybackSide({
  gaps,
  reads,
  clocks,
  view,
  onGo,
}: {
  gaps: readonly Gap[];
  reads: readonly { at: number; id: string }[];
  clocks: readonly ClockMark[];
  view: View;
  onGo: (ms: number) => void;
}) {
  const { t, code, language } = useWords();
  const seenGaps = gaps.filter((gap) => gap.to > view.from && gap.from < view.to);
  const seenReads = reads.filter((read) => read.at >= view.from && read.at < view.to);
  const seenClocks = clocks.filter((mark) => mark.at >= view.from && mark.at < view.to);
  const row = "flex w-full items-center gap-2 rounded px-2 py-1 text-left hover:bg-raised min-h-6";
  return (
    <aside aria-label={t("playback.inView")} className="w-60 shrink-0 overflow-auto border-l border-line bg-panel p-2">
      <h2 className="px-2 py-1 text-muted">{t("playback.gaps", { count: seenGaps.length })}</h2>
      <ul>
        {seenGaps.slice(0, LISTED).map((gap) => (
          <li key={`${gap.from}/${gap.cause}`}>
            <button type="button" className={row} onClick={() => onGo(gap.to)}>
              <CircleSlash size={14} aria-hidden className="shrink-0 text-bad" />
              <span>
                <span className="tabular-nums">{clock(gap.from, language)}</span> · {span(gap.to - gap.from)}
                <br />
                <span className="text-xs text-muted">{code("cause", gap.cause)}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      {seenClocks.length > 0 && (
        <>
          <h2 className="px-2 py-1 text-muted">{t("playback.clocks", { count: seenClocks.length })}</h2>
          <ul>
            {seenClocks.slice(0, LISTED).map((mark) => (
              <li key={`${mark.at}/${mark.what}`}>
                <button type="button" className={row} onClick={() => onGo(mark.at)}>
                  <ClockAlert size={14} aria-hidden className="shrink-0 text-warn" />
                  <span>
                    <span className="tabular-nums">{clock(mark.at, language)}</span>
                    <br />
                    <span className="text-xs text-muted">{code("clockMark", mark.what)}</span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
      <h2 className="px-2 py-1 text-muted">{t("playback.reads", { count: seenReads.length })}</h2>
      <ul>
        {seenReads.slice(-LISTED).map((read) => (
          <li key={read.id}>
            <button type="button" className={row} onClick={() => onGo(read.at - 2000)}>
              <Car size={14} aria-hidden className="shrink-0 text-warn" />
              <span className="tabular-nums">{clock(read.at, language)}</span>
            </button>
          </li>
        ))}
      </ul>
    </aside>
  );
}
