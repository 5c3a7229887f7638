import { useTravelTimes, type CountedRoute } from "../../api/statistics";
import { useWords } from "../../app/useWords";
import { Busy, Notice } from "../../components/ui";
import { minutesText, timeBarsOf, timesTopOf } from "../../domain/counts";
import { clockShort, fromWire } from "../../domain/time";
import { Bars, Legend } from "./Bars";
import type { Day } from "./day";

/** The travel times of one route on one day: means of five drives and more. */
export function RouteDay({ route, title, day }: { route: CountedRoute; title: string; day: Day }) {
  const { t, problem, language } = useWords();
  const rows = useTravelTimes(route.code, day.span, day.runs);
  const bars = timeBarsOf(rows.data ?? [], day.span, day.now);
  return (
    <div className="flex flex-col gap-4 p-4">
      <div>
        <h2>{title}</h2>
        <p className="text-muted">
          {route.code} · {t("counts.drives", { from: route.shortest_s, to: route.longest_s })}
        </p>
      </div>
      {rows.isPending ? <Busy label={t("common.loading")} /> : null}
      {rows.isError ? <Notice tone="bad">{problem(rows.error)}</Notice> : null}
      {rows.isSuccess && rows.data.length === 0 ? <Notice>{t("counts.noTimes")}</Notice> : null}
      {rows.isSuccess && rows.data.length > 0 ? (
        <>
          <Bars
            bars={bars}
            span={day.span}
            label={t("counts.chartTimes", { place: title })}
            top={timesTopOf(bars)}
            text={minutesText}
          />
          <Legend counted={t("counts.mean")} withSmall={false} />
          <table className="max-w-[520px]">
            <caption className="sr-only">{title}</caption>
            <thead>
              <tr>
                <th scope="col">{t("counts.between")}</th>
                <th scope="col">{t("counts.mean")}</th>
                <th scope="col">{t("counts.sample")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.data.map((row) => (
                <tr key={row.from} className="tabular-nums">
                  <td>
                    {clockShort(fromWire(row.from), language)}–{clockShort(fromWire(row.to), language)}
                  </td>
                  <td>{minutesText(row.mean_s)}</td>
                  <td>{row.sample.replace("-", "–")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      ) : null}
    </div>
  );
}
