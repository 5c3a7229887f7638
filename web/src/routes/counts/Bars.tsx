import { useId } from "react";
import { useWords } from "../../app/useWords";
import { ticksOf, type Bar } from "../../domain/counts";
import { clockShort } from "../../domain/time";

const WIDTH = 960;
const HEIGHT = 220;
const LEFT = 44;
const TOP = 10;
const BOTTOM = 24;
const PLOT = { width: WIDTH - LEFT - 8, height: HEIGHT - TOP - BOTTOM };

/** Bars of a day. What is held back is a hatched column as high as the picture, so that no height can be read from it; what is missing is bare. */
export function Bars({
  bars,
  span,
  label,
  top,
  text,
}: {
  bars: readonly Bar[];
  span: { from: number; to: number };
  /** What the picture shows, for who does not see it; the table beside it has the numbers. */
  label: string;
  /** Upper end of the scale. */
  top: number;
  /** A value in words. */
  text: (value: number) => string;
}) {
  const { t, language } = useWords();
  const hatch = useId();
  const x = (at: number): number => LEFT + ((at - span.from) / (span.to - span.from)) * PLOT.width;
  const y = (value: number): number => TOP + PLOT.height * (1 - value / top);
  const said = (bar: Bar): string =>
    bar.kind === "counted" ? text(bar.value) : t(bar.kind === "small" ? "counts.small" : "counts.missing");
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label} className="w-full max-w-[1100px]">
      <defs>
        <pattern id={hatch} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <line x1="0" y1="0" x2="0" y2="6" className="stroke-edge" strokeWidth="2" />
        </pattern>
      </defs>
      {[0, 0.5, 1].map((part) => (
        <g key={part}>
          <line
            x1={LEFT}
            x2={WIDTH - 8}
            y1={y(top * part)}
            y2={y(top * part)}
            className="stroke-line"
            strokeWidth="1"
          />
          <text x={LEFT - 6} y={y(top * part) + 4} textAnchor="end" className="fill-muted text-[11px] tabular-nums">
            {text(top * part)}
          </text>
        </g>
      ))}
      {bars.map((bar) => {
        const width = Math.max(0.5, x(bar.to) - x(bar.from) - (bars.length > 200 ? 0 : 1));
        return bar.kind === "missing" ? null : (
          <rect
            key={bar.from}
            x={x(bar.from)}
            width={width}
            y={bar.kind === "small" ? TOP : y(bar.value)}
            height={bar.kind === "small" ? PLOT.height : Math.max(1, y(0) - y(bar.value))}
            fill={bar.kind === "small" ? `url(#${hatch})` : undefined}
            className={bar.kind === "small" ? "opacity-50" : "fill-accent"}
          >
            <title>{`${clockShort(bar.from, language)}–${clockShort(bar.to, language)}: ${said(bar)}`}</title>
          </rect>
        );
      })}
      {ticksOf(span).map((at) => (
        <text
          key={at}
          x={x(at)}
          y={HEIGHT - 7}
          textAnchor={at === span.from ? "start" : at === span.to ? "end" : "middle"}
          className="fill-muted text-[11px] tabular-nums"
        >
          {clockShort(at, language)}
        </text>
      ))}
    </svg>
  );
}

/** What the forms of the bars mean. */
export function Legend({ counted, withSmall }: { counted: string; withSmall: boolean }) {
  const { t } = useWords();
  const hatch = useId();
  return (
    <ul className="flex flex-wrap gap-4 text-xs text-muted">
      <li className="flex items-center gap-1.5">
        <span aria-hidden className="inline-block h-3 w-3 bg-accent" />
        {counted}
      </li>
      {withSmall ? (
        <li className="flex items-center gap-1.5">
          <svg aria-hidden width="12" height="12">
            <defs>
              <pattern id={hatch} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                <line x1="0" y1="0" x2="0" y2="6" className="stroke-edge" strokeWidth="2" />
              </pattern>
            </defs>
            <rect width="12" height="12" fill={`url(#${hatch})`} />
          </svg>
          {t("counts.small")}
        </li>
      ) : null}
      <li className="flex items-center gap-1.5">
        <span aria-hidden className="inline-block h-3 w-3 border-b border-edge" />
        {t("counts.missing")}
      </li>
    </ul>
  );
}
