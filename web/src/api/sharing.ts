// Calls and shapes of sharing and oversight (docs/SHARING.md).

import { useQuery } from "@tanstack/react-query";
import { call, query, unwrap, type Result } from "./http";
import { keys } from "./keys";
import type { Why } from "../domain/purpose";
import type { Org, Page } from "./types";

const API = "/api/v1";

interface Signed {
  user_id: string;
  name: string;
  at: string;
}

export interface Grant {
  id: string;
  camera_id: string;
  camera_code: string | null;
  owner: Org | null;
  partner: Org | null;
  profile: string | null;
  right: string;
  purpose: string | null;
  from: string;
  to: string;
  in_force: boolean;
}

export interface ShareRequest {
  id: string;
  owner: Org | null;
  partner: Org | null;
  camera_codes: string[];
  profile: string | null;
  rights: string[];
  purpose: string | null;
  from: string;
  to: string;
  reason: string;
  case_ref: string | null;
  asked: Signed;
  state: string;
  first: Signed | null;
  settled: Signed | null;
  answer: string | null;
  may_answer: boolean;
  may_withdraw: boolean;
}

export interface SharingEvent {
  id: string;
  kind: string;
  name: string;
  cameras: number;
  profiles: string[];
  authority: string;
  reason: string;
  from: string;
  to: string;
  activated: Signed;
  ended: Signed | null;
  in_force: boolean;
  uses: { owner: string | null; by: string | null; right: string; uses: number; camera_id: string }[];
  may_change: boolean;
}

export interface Emergency {
  id: string;
  opened: Signed;
  by: string | null;
  camera_codes: string[];
  owners: string[];
  purpose: string;
  reason: string;
  until: string;
  in_force: boolean;
  review_by: string;
  overdue: boolean;
  review: { justified: boolean; reason: string; by: Signed } | null;
  may_end: boolean;
  may_review: boolean;
}

export interface Flow {
  id: string;
  institution: string;
  source: string;
  purpose: string;
  is_share: boolean;
  state: string;
  grants: number;
  last: { state: string; reason: string; authority: string; changed: Signed } | null;
  may_stop: boolean;
}

export interface Complaint {
  id: string;
  about_id: string;
  channel: string;
  text: string;
  received: Signed;
  state: string;
  answer: string | null;
  answered: Signed | null;
}

export interface ShareBody {
  camera_ids: string[];
  profile: string | null;
  rights: string[];
  from: string;
  to: string;
}

export interface EventBody {
  kind: string;
  name: string;
  camera_ids: string[];
  authority: string;
  reason: string;
  from: string;
  to: string;
}

async function items<T>(path: string): Promise<Result<T[]>> {
  const answer = await call<Page<T>>("GET", path);
  return answer.ok ? { ok: true, value: answer.value.items, etag: null } : answer;
}

const post = (path: string, body: object = {}): Promise<Result<unknown>> => call("POST", API + path, { body });

export const sharing = {
  grants: () => items<Grant>(`${API}/grants`),
  give: (body: ShareBody & { partner_id: string; purpose: string | null }) => post("/grants", body),
  takeBack: (id: string) => call<unknown>("DELETE", `${API}/grants/${id}`),
  requests: (past: boolean) => items<ShareRequest>(`${API}/grant-requests${query({ past: past ? "true" : null })}`),
  ask: (body: ShareBody & { purpose: Why }) => post("/grant-requests", body),
  answer: (id: string, word: "approve" | "refuse" | "withdraw", reason: string) =>
    post(`/grant-requests/${id}/${word}`, word === "refuse" ? { reason } : {}),
  events: (past: boolean) => items<SharingEvent>(`${API}/sharing-events${query({ past: past ? "true" : null })}`),
  activate: (body: EventBody) => post("/sharing-events", body),
  extend: (id: string, to: string, authority: string, reason: string) =>
    post(`/sharing-events/${id}/extend`, { to, authority, reason }),
  end: (id: string, reason: string) => post(`/sharing-events/${id}/end`, { reason }),
  emergencies: () => items<Emergency>(`${API}/break-glass`),
  breakGlass: (camera_ids: string[], purpose: Why) => post("/break-glass", { camera_ids, purpose }),
  endEmergency: (id: string) => post(`/break-glass/${id}/end`),
  review: (id: string, justified: boolean, reason: string) => post(`/break-glass/${id}/review`, { justified, reason }),
  flows: () => items<Flow>(`${API}/flows`),
  turn: (id: string, step: string, reason: string, authority: string) =>
    post(`/flows/${encodeURIComponent(id)}/switch`, { step, reason, authority }),
  complaints: () => items<Complaint>(`${API}/complaints`),
  complain: (about_id: string, channel: string, text: string) => post("/complaints", { about_id, channel, text }),
  settle: (id: string, refuse: boolean, text: string) => post(`/complaints/${id}/answer`, { refuse, text }),
};

/** Everything under this key is loaded anew when the server says that sharing changed. */
export const SHARING = keys.sharing;

function list<T>(name: string, load: () => Promise<Result<T[]>>, enabled = true) {
  // eslint-disable-next-line react-hooks/rules-of-hooks -- only called by the hooks below
  return useQuery({
    queryKey: [...SHARING, name],
    queryFn: async () => unwrap(await load()),
    enabled,
    refetchInterval: 15_000,
  });
}

export const useGrants = (enabled: boolean) => list("grants", sharing.grants, enabled);
export const useRequests = (past: boolean) => list(`requests-${past}`, () => sharing.requests(past));
export const useSharingEvents = (past: boolean) => list(`events-${past}`, () => sharing.events(past));
export const useEmergencies = () => list("emergencies", sharing.emergencies);
export const useFlows = (enabled: boolean) => list("flows", sharing.flows, enabled);
export const useComplaints = (enabled: boolean) => list("complaints", sharing.complaints, enabled);
