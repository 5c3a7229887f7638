// Calls and shapes of watchlists and hits. A hit is an indication until a person has read the plate in the picture.

import { useQuery } from "@tanstack/react-query";
import { call, query, unwrap } from "./http";
import { keys } from "./keys";
import type { components } from "./schema.generated";
import type { Page, Purpose } from "./types";

const API = "/api/v1";

type Schemas = components["schemas"];
/** What may be null is always told. */
export type Entry = Required<Schemas["EntryView"]>;
export type Hit = Required<Schemas["HitView"]>;
export type WatchSize = Schemas["WatchSizeView"];
export type EntryBody = Omit<Schemas["EntryDto"], "purpose"> & { purpose: Purpose };

export const watchlist = {
  list: () => call<Page<Entry>>("GET", `${API}/watchlist${query({ limit: 500 })}`),
  propose: (urgent: boolean, body: EntryBody) =>
    call<Entry>("POST", urgent ? `${API}/watchlist/urgent` : `${API}/watchlist`, { body }),
  approve: (id: string) => call<Entry>("POST", `${API}/watchlist/${id}/approve`, { body: {} }),
  refuse: (id: string, reason: string) => call<Entry>("POST", `${API}/watchlist/${id}/refuse`, { body: { reason } }),
  end: (id: string, reason: string) => call<void>("POST", `${API}/watchlist/${id}/end`, { body: { reason } }),
  sizes: () => call<{ items: WatchSize[] }>("GET", `${API}/watchlist/summary`),
};

export const hits = {
  list: (state: string) =>
    call<Page<Hit>>("GET", `${API}/hits${query({ state: state === "" ? null : state, limit: 100 })}`),
  confirm: (hit: Hit, plate_seen: string) =>
    call<Hit>("POST", `${API}/hits/${hit.id}/decide`, {
      body: { verdict: "confirm", plate_seen, seen_etag: hit.etag },
    }),
  dismiss: (hit: Hit, reason: string) =>
    call<Hit>("POST", `${API}/hits/${hit.id}/decide`, { body: { verdict: "dismiss", reason, seen_etag: hit.etag } }),
  picture: (id: string, kind: "crop" | "overview") => `${API}/hits/${id}/${kind}.jpg`,
};

export const useWatchlist = (enabled: boolean) =>
  useQuery({
    queryKey: [...keys.watchlist, "entries"],
    queryFn: async () => unwrap(await watchlist.list()).items,
    enabled,
    refetchInterval: 30_000,
  });

export const useWatchSizes = (enabled: boolean) =>
  useQuery({
    queryKey: [...keys.watchlist, "sizes"],
    queryFn: async () => unwrap(await watchlist.sizes()).items,
    enabled,
  });

/** The event stream says when there is something new; the interval is for a stream that is away. */
export const useHits = (state: string, enabled: boolean) =>
  useQuery({
    queryKey: [...keys.hits, state],
    queryFn: async () => unwrap(await hits.list(state)).items,
    enabled,
    refetchInterval: 15_000,
  });
