import { EyeOff } from "lucide-react";
import { useState } from "react";
import { useCounts, type CountedSite } from "../../api/statistics";
import { useWords } from "../../app/useWords";
import { Badge, Busy, Notice, SelectInput } from "../../components/ui";
import { barsOf, firstLength, lengthsOf, rowsOf, sumOf, topOf, type Bar } from "../../domain/counts";
import { clockShort } from "../../domain/time";
import { Bars, Legend } from "./Bars";
import type { Day } from "./day";

/** The counts of one place on one day. */
export function SiteDay({ site, title, day }: { site: CountedSite; title: string; day: Day }) {
  const { t, problem, language } = useWords();
  const [minutes, setMinutes] = useState(firstLength(site.minutes));
  const [lane, setLane] = useState("");
  const rows = useCounts(site.code, day.span, day.runs);
  const all: readonly (number | null)[] = site.by_lane ? site.lanes : [null];
  const lanes = lane === "" ? all : [Number(lane)];
  const bars = barsOf(rows.data ?? [], { finest: site.minutes, minutes, lanes }, day.span, day.now);
  const sum = sumOf(bars);
  return (
    <div className="flex flex-col gap-4 p-4">
      <div className="flex flex-wrap items-end gap-3">
        <div className="mr-auto">
          <h2>{title}</h2>
          <p className="text-muted">
            {site.code} · {t("counts.towards", { degrees: site.orientation })}
          </p>
        </div>
        {site.by_lane && site.lanes.length > 1 ? (
          <SelectInput
            label={t("counts.lane")}
            value={lane}
            onChange={(event) => setLane(event.target.value)}
            options={[
              { value: "", label: t("counts.allLanes") },
              ...site.lanes.map((one) => ({ value: String(one), label: t("counts.laneNumber", { number: one }) })),
            ]}
          />
        ) : null}
        <SelectInput
          label={t("counts.interval")}
          value={String(minutes)}
          onChange={(event) => setMinutes(Number(event.target.value))}
          options={lengthsOf(site.minutes).map((one) => ({
            value: String(one),
            label: t("counts.minutes", { number: one }),
          }))}
        />
      </div>
      {rows.isPending ? <Busy label={t("common.loading")} /> : null}
      {rows.isError ? <Notice tone="bad">{problem(rows.error)}</Notice> : null}
      {rows.isSuccess && rows.data.length === 0 ? <Notice>{t("counts.noNumbers")}</Notice> : null}
      {rows.isSuccess && rows.data.length > 0 ? (
        <>
          <p role="status">
            {t("counts.sum", { number: sum.counted.toLocaleString(language) })}
            {sum.small > 0 ? ` ${t("counts.sumSmall", { count: sum.small })}` : ""}
            {sum.missing > 0 ? ` ${t("counts.sumMissing", { count: sum.missing })}` : ""}
          </p>
          <Bars
            bars={bars}
            span={day.span}
            label={t("counts.chart", { place: title })}
            top={topOf(bars)}
            text={(value) => value.toLocaleString(language)}
          />
          <Legend counted={t("counts.vehicles")} withSmall />
          <CountTable bars={bars} caption={title} />
        </>
      ) : null}
    </div>
  );
}

export function CountTable({ bars, caption }: { bars: readonly Bar[]; caption: string }) {
  const { t, language } = useWords();
  return (
    <table className="max-w-[520px]">
      <caption className="sr-only">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">{t("counts.between")}</th>
          <th scope="col">{t("counts.vehicles")}</th>
        </tr>
      </thead>
      <tbody>
        {rowsOf(bars).map((bar) => (
          <tr key={bar.from}>
            <td className="tabular-nums">
              {clockShort(bar.from, language)}–{clockShort(bar.to, language)}
            </td>
            <td className="tabular-nums">
              {bar.kind === "counted" ? (
                bar.value.toLocaleString(language)
              ) : bar.kind === "small" ? (
                <Badge tone="muted" icon={EyeOff}>
                  {t("counts.small")}
                </Badge>
              ) : (
                <span className="text-muted">{t("counts.missing")}</span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
