// Which of the known versions of a finding counts. Its `etag` is a number that goes up with each decision.

import type { QueryClient } from "@tanstack/react-query";
import { findingKey } from "../../api/hooks";
import type { Finding } from "../../api/types";

/** The newer one of a finding as it was fetched by itself and as its list has it: either may be older than the other. */
export function newer(detail: Finding | undefined, listed: Finding): Finding {
  return detail === undefined || Number(listed.etag) > Number(detail.etag) ? listed : detail;
}

/**
 * Takes the server's answer to an own decision for the finding as it is now. Without it the version before stood on the screen, with its steps,
 * until it was fetched anew, and whoever was faster than that sent the old version: 412. A fetch that is under way may have left before the
 * decision, so that it is given up.
 */
export async function keepDecided(client: QueryClient, decided: Finding): Promise<void> {
  const queryKey = findingKey(decided.id);
  await client.cancelQueries({ queryKey, exact: true });
  client.setQueryData<Finding>(queryKey, decided);
}
