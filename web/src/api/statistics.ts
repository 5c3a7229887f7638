// Calls and shapes of counts and travel times (docs/STATISTICS.md). A number that may not be shown is null and never 0.

import { useQuery } from "@tanstack/react-query";
import { MINUTE, toWire } from "../domain/time";
import { call, query, unwrap, type Result } from "./http";
import { keys } from "./keys";
import type { components } from "./schema.generated";
import type { Page } from "./types";

const API = "/api/v1/statistics";

type Schemas = components["schemas"];
export type CountedSite = Schemas["CountedSiteView"];
export type CountedRoute = Schemas["CountedRouteView"];
export type StoredCount = Schemas["StoredCountView"];
export type TravelTime = Schemas["TravelTimeView"];

/** Numbers of one request. */
const LIMIT = 500;
/** Pages of one day at most: a day by the minute on eight lanes has 24. */
const PAGES_MAX = 60;

interface Span {
  from: number;
  to: number;
}

/** All pages of a list. */
export async function allPages<T>(get: (cursor: string | null) => Promise<Result<Page<T>>>): Promise<T[]> {
  const out: T[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const got: Page<T> = unwrap(await get(cursor));
    out.push(...got.items);
    cursor = got.next_cursor ?? null;
    if (cursor === null) break;
  }
  return out;
}

const of = (span: Span, cursor: string | null): string =>
  query({ from: toWire(span.from), to: toWire(span.to), limit: LIMIT, cursor });

/** What is counted, as far as one sees it. */
export const useCountedPlaces = () =>
  useQuery({
    queryKey: keys.statistics,
    queryFn: async () => unwrap(await call<Schemas["CountedPlacesView"]>("GET", `${API}/places`)),
    staleTime: 5 * MINUTE,
  });

/** Counts of a place in its finest interval; of a day that runs on, again each minute. */
export const useCounts = (site: string, span: Span, runs: boolean) =>
  useQuery({
    queryKey: [...keys.statistics, "site", site, span.from],
    queryFn: () =>
      allPages((cursor) =>
        call<Page<StoredCount>>("GET", `${API}/sites/${encodeURIComponent(site)}/counts${of(span, cursor)}`),
      ),
    refetchInterval: runs ? MINUTE : false,
  });

/** Travel times of a route, of five minutes each. */
export const useTravelTimes = (route: string, span: Span, runs: boolean) =>
  useQuery({
    queryKey: [...keys.statistics, "route", route, span.from],
    queryFn: () =>
      allPages((cursor) =>
        call<Page<TravelTime>>("GET", `${API}/routes/${encodeURIComponent(route)}/travel-times${of(span, cursor)}`),
      ),
    refetchInterval: runs ? MINUTE : false,
  });
