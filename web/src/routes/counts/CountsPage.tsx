import { ChartColumn, ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect, useState } from "react";
import { useCountedPlaces, type CountedSite } from "../../api/statistics";
import { useWords } from "../../app/useWords";
import { DayInput } from "../../components/moment";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { MINUTE, type Language } from "../../domain/time";
import { dayBeside, dayOf, dayText } from "./day";
import { RouteDay } from "./RouteDay";
import { SiteDay } from "./SiteDay";

const named = (site: CountedSite, language: Language): string =>
  ({ nl: site.name_nl, fr: site.name_fr, en: site.name_en })[language];

/** How many vehicles passed a place, and how long they drove between two: places and routes left, a day of one right. */
export function CountsPage() {
  const { t, problem, language } = useWords();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), MINUTE);
    return () => clearInterval(timer);
  }, []);
  const [text, setText] = useState(() => dayText(Date.now()));
  const [chosen, setChosen] = useState<string | null>(null);
  const places = useCountedPlaces();
  const { sites, routes } = places.data ?? { sites: [], routes: [] };
  const byCode = new Map(sites.map((site) => [site.code, named(site, language)]));
  const entries = [
    ...sites.map((site) => ({ key: `site/${site.code}`, site, route: null, title: named(site, language) })),
    ...routes.map((route) => ({
      key: `route/${route.code}`,
      site: null,
      route,
      title: `${byCode.get(route.from) ?? route.from} → ${byCode.get(route.to) ?? route.to}`,
    })),
  ];
  const current = entries.find((entry) => entry.key === chosen) ?? entries[0] ?? null;
  const day = dayOf(text, now);
  const isOff = places.isError && places.error.message === "no_such_service";
  return (
    <Page
      title={t("page.counts")}
      tools={
        <>
          <Button
            aria-label={t("counts.before")}
            isDisabled={day === null}
            onPress={() => (day === null ? undefined : setText(dayBeside(day, -1)))}
          >
            <ChevronLeft size={16} aria-hidden />
          </Button>
          <DayInput label={t("counts.day")} value={text} onChange={(event) => setText(event.target.value)} />
          <Button
            aria-label={t("counts.after")}
            isDisabled={day === null || day.span.to > now}
            onPress={() => (day === null ? undefined : setText(dayBeside(day, 1)))}
          >
            <ChevronRight size={16} aria-hidden />
          </Button>
        </>
      }
    >
      {places.isPending ? <Busy label={t("common.loading")} /> : null}
      {places.isError && !isOff ? (
        <div className="p-4">
          <Notice tone="bad">{problem(places.error)}</Notice>
        </div>
      ) : null}
      {isOff ? <Empty icon={ChartColumn}>{t("counts.off")}</Empty> : null}
      {places.isSuccess && current === null ? <Empty icon={ChartColumn}>{t("counts.none")}</Empty> : null}
      {current !== null ? (
        <div className="flex h-full min-h-0">
          <div className="flex w-72 shrink-0 flex-col overflow-auto border-r border-line">
            {[
              { title: t("counts.places"), of: entries.filter((entry) => entry.site !== null) },
              { title: t("counts.routes"), of: entries.filter((entry) => entry.route !== null) },
            ]
              .filter((group) => group.of.length > 0)
              .map((group) => (
                <section key={group.title} aria-label={group.title}>
                  <h2 className="px-3 pt-3 pb-1.5 text-muted">{group.title}</h2>
                  <ul>
                    {group.of.map((entry) => (
                      <li key={entry.key}>
                        <button
                          type="button"
                          aria-current={entry.key === current.key}
                          onClick={() => setChosen(entry.key)}
                          className={`flex w-full flex-col items-start border-b border-line border-l-[3px] px-3 py-2 text-left hover:bg-raised ${entry.key === current.key ? "border-l-accent bg-raised" : "border-l-transparent"}`}
                        >
                          <span>{entry.title}</span>
                          <span className="text-xs text-muted">{entry.site?.code ?? entry.route?.code}</span>
                        </button>
                      </li>
                    ))}
                  </ul>
                </section>
              ))}
          </div>
          {/* Focusable, so that the keyboard scrolls it: a route has nothing in it to go to. */}
          <div role="region" aria-label={current.title} tabIndex={0} className="min-w-0 flex-1 overflow-auto">
            <p className="px-4 pt-3 text-muted">{t("counts.explain")}</p>
            {day === null ? null : current.site !== null ? (
              <SiteDay key={current.key} site={current.site} title={current.title} day={day} />
            ) : (
              <RouteDay key={current.key} route={current.route} title={current.title} day={day} />
            )}
          </div>
        </div>
      ) : null}
    </Page>
  );
}
