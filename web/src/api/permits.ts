// Calls and shapes of the permit desk's register.

import { useQuery } from "@tanstack/react-query";
import { call, query, unwrap } from "./http";
import { keys } from "./keys";
import type { components } from "./schema.generated";
import type { Page } from "./types";

const API = "/api/v1";

type Schemas = components["schemas"];
export type Permit = Schemas["PermitView"];
export type PermitBody = Schemas["PermitDto"];
export type ListingBody = Schemas["PermitListingDto"];
export type Imported = Schemas["PermitImportView"];

/** Entries of one request. */
export const ENTRIES_MAX = 1_000;
/** Pages that are read at most: past that somebody needs the command line. */
const PAGES_MAX = 20;

export const permits = {
  list: (cursor: string | null) => call<Page<Permit>>("GET", `${API}/permits${query({ limit: 500, cursor })}`),
  take: (justification: string, some: PermitBody[], listings: ListingBody[]) =>
    call<Imported>("POST", `${API}/permits/import`, { body: { justification, permits: some, listings } }),
  end: (id: string, justification: string) =>
    call<void>("POST", `${API}/permits/${encodeURIComponent(id)}/withdraw`, { body: { justification } }),
};

async function all(): Promise<Permit[]> {
  const out: Permit[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const got: Page<Permit> = unwrap(await permits.list(cursor));
    out.push(...got.items);
    cursor = got.next_cursor ?? null;
    if (cursor === null) break;
  }
  return out;
}

export const usePermits = () => useQuery({ queryKey: keys.permits, queryFn: all });
