// Searches of police reads behind the magistrate's gate: ordered by one person, agreed to by another, opened by who ordered them.

import { useQuery } from "@tanstack/react-query";
import { all } from "./calls";
import { call, query, unwrap } from "./http";
import { keys } from "./keys";
import type { GatedSearch, GatedSearchBody, Page, Read } from "./types";

const PATH = "/api/v1/reads/gated-searches";

export const gatedSearches = {
  list: () => all<GatedSearch>(PATH),
  order: (body: GatedSearchBody) => call<GatedSearch>("POST", PATH, { body }),
  approve: (id: string) => call<GatedSearch>("POST", `${PATH}/${id}/approve`, { body: {} }),
  refuse: (id: string, reason: string) => call<GatedSearch>("POST", `${PATH}/${id}/refuse`, { body: { reason } }),
  /** Each page is a use of its own in the log, under a decision of its own. */
  open: (id: string, cursor: string | null) =>
    call<Page<Read>>("POST", `${PATH}/${id}/open${query({ limit: 60, cursor })}`, { body: {} }),
};

/** Orders name plates, so that each look at the list is a use in the log: never asked for by a clock. */
export const useGatedSearches = () =>
  useQuery({
    queryKey: keys.gatedSearches,
    queryFn: async () => unwrap(await gatedSearches.list()),
    refetchOnReconnect: false,
  });
