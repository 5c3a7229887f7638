// One function a route of docs/API-DESIGN.md.

import { call, callBlob, callBytes, query, setCsrfToken, type Result } from "./http";
import type {
  Camera,
  CameraBody,
  CameraHealth,
  CameraPatch,
  CatalogueResult,
  Export,
  ExportBody,
  ExportFile,
  Gated,
  GatedBody,
  Finding,
  Hold,
  HoldBody,
  Leaf,
  LegalChange,
  LegalChangeBody,
  Org,
  Page,
  Partner,
  PartnerBody,
  Pictures,
  PlaybackTicket,
  Probe,
  Purpose,
  Read,
  Session,
  Ticket,
  Timeline,
  User,
  UserBody,
  UserPatch,
} from "./types";

const API = "/api/v1";

async function keepToken(answer: Promise<Result<Session>>): Promise<Result<Session>> {
  const result = await answer;
  if (result.ok) setCsrfToken(result.value.csrf_token);
  return result;
}

export const session = {
  logIn: (user_name: string, password: string) =>
    keepToken(call<Session>("POST", `${API}/login`, { body: { user_name, password }, quiet: true })),
  get: () => keepToken(call<Session>("GET", `${API}/session`, { quiet: true })),
  touch: () => keepToken(call<Session>("GET", `${API}/session`)),
  patch: (body: { language?: string; password?: { old: string; new: string } }) =>
    keepToken(call<Session>("PATCH", `${API}/session`, { body })),
  logOut: () => call<void>("POST", `${API}/logout`),
};

/** Reads every page of a list; bounded, so that a wrong cursor can't run for ever. */
export async function all<T>(path: string, values: Record<string, string | null> = {}): Promise<Result<T[]>> {
  const items: T[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < 40; page += 1) {
    const answer: Result<Page<T>> = await call<Page<T>>("GET", path + query({ ...values, limit: 500, cursor }));
    if (!answer.ok) return answer;
    items.push(...answer.value.items);
    cursor = answer.value.next_cursor;
    if (cursor === null) break;
  }
  return { ok: true, value: items, etag: null };
}

/** A camera whose owner is not told still stands in a group of the tree. */
function owned(camera: Camera): Camera {
  const owner = (camera as { owner: Org | null }).owner ?? { id: "", code: "?", name_nl: "?", name_fr: "?" };
  return { ...camera, owner };
}

export const cameras = {
  list: async (): Promise<Result<Camera[]>> => {
    const answer = await all<Camera>(`${API}/cameras`);
    return answer.ok ? { ...answer, value: answer.value.map(owned) } : answer;
  },
  get: async (id: string): Promise<Result<Camera>> => {
    const answer = await call<Camera>("GET", `${API}/cameras/${id}`);
    return answer.ok ? { ...answer, value: owned(answer.value) } : answer;
  },
  create: (body: CameraBody) => call<Camera>("POST", `${API}/cameras`, { body }),
  patch: (id: string, body: CameraPatch, ifMatch: string | null) =>
    call<Camera>("PATCH", `${API}/cameras/${id}`, { body, ifMatch }),
  approve: (id: string) => call<Camera>("POST", `${API}/cameras/${id}/approve`, { body: {} }),
  retire: (id: string, reason: string) => call<Camera>("POST", `${API}/cameras/${id}/retire`, { body: { reason } }),
  probe: (id: string) => call<Probe>("POST", `${API}/cameras/${id}/probe`, { body: {} }),
  testPicture: (id: string, purpose: Purpose) =>
    callBlob("POST", `${API}/cameras/${id}/test-picture`, { body: { purpose } }),
  timeline: (id: string, stream: string, from: string, to: string) =>
    call<Timeline>("GET", `${API}/cameras/${id}/timeline${query({ stream, from, to })}`),
};

export const legalChanges = {
  waiting: () => all<LegalChange>(`${API}/legal-changes`),
  of: (camera: string) => all<LegalChange>(`${API}/cameras/${camera}/legal-changes`),
  propose: (camera: string, body: LegalChangeBody) =>
    call<LegalChange>("POST", `${API}/cameras/${camera}/legal-changes`, { body }),
  approve: (id: string) => call<LegalChange>("POST", `${API}/legal-changes/${id}/approve`, { body: {} }),
  refuse: (id: string, reason: string) =>
    call<LegalChange>("POST", `${API}/legal-changes/${id}/refuse`, { body: { reason } }),
  withdraw: (id: string) => call<LegalChange>("POST", `${API}/legal-changes/${id}/withdraw`, { body: {} }),
};

export const holds = {
  list: (released: boolean) => all<Hold>(`${API}/holds`, { state: released ? "all" : "open" }),
  set: (body: HoldBody) => call<Hold>("POST", `${API}/holds`, { body }),
  askRelease: (id: string, reason: string) =>
    call<Hold>("POST", `${API}/holds/${id}/ask-release`, { body: { reason } }),
  release: (id: string) => call<Hold>("POST", `${API}/holds/${id}/release`, { body: {} }),
  keepOn: (id: string) => call<Hold>("POST", `${API}/holds/${id}/keep-on`, { body: {} }),
  review: (id: string, reason: string, until: string) =>
    call<Hold>("POST", `${API}/holds/${id}/review`, { body: { reason, until } }),
};

export const gated = {
  list: () => all<Gated>(`${API}/gated`, {}),
  propose: (body: GatedBody) => call<Gated>("POST", `${API}/gated`, { body }),
  approve: (id: string) => call<Gated>("POST", `${API}/gated/${id}/approve`, { body: {} }),
  refuse: (id: string, reason: string) => call<Gated>("POST", `${API}/gated/${id}/refuse`, { body: { reason } }),
};

export const exports = {
  list: () => all<Export>(`${API}/exports`, {}),
  order: (body: ExportBody) => call<Export>("POST", `${API}/exports`, { body }),
  approve: (id: string) => call<Export>("POST", `${API}/exports/${id}/approval`, { body: {} }),
  refuse: (id: string, reason: string) => call<Export>("POST", `${API}/exports/${id}/refusal`, { body: { reason } }),
  pause: (id: string) => call<Export>("POST", `${API}/exports/${id}/pause`, { body: {} }),
  resume: (id: string) => call<Export>("POST", `${API}/exports/${id}/resume`, { body: {} }),
  cancel: (id: string) => call<Export>("POST", `${API}/exports/${id}/cancel`, { body: {} }),
  remove: (id: string) => call<Export>("DELETE", `${API}/exports/${id}`),
  files: (id: string) => call<ExportFile[]>("GET", `${API}/exports/${id}/files`),
};

export const media = {
  liveTicket: (stream_id: string, purpose: Purpose) =>
    call<Ticket>("POST", `${API}/stream-tickets`, {
      body: { stream_id, kind: "live", rendition: "original", purpose },
    }),
  liveUrl(): string {
    const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
    return `${scheme}//${window.location.host}${API}/live`;
  },
  playbackTicket: (stream_id: string, from: string, to: string, purpose: Purpose) =>
    call<PlaybackTicket>("POST", `${API}/playback-tickets`, { body: { stream_id, from, to, purpose } }),
  previewTicket: (stream_id: string, from: string, to: string, purpose: Purpose) =>
    call<PlaybackTicket>("POST", `${API}/playback-tickets`, {
      body: { stream_id, from, to, rendition: "preview", purpose },
    }),
  previewPictures: (id: string) => call<Pictures>("GET", `${API}/playback/${id}/pictures`),
  /** Bytes [start, end) of a playback; null when they can't be had. */
  playbackBytes: (url: string, start: number, end: number, signal: AbortSignal) => callBytes(url, start, end, signal),
  /** An init segment or a picture of a preview; null when it can't be had. */
  playbackPart: async (id: string, name: string): Promise<ArrayBuffer | null> => {
    const answer = await callBlob("GET", `${API}/playback/${id}/parts/${name}`);
    return answer.ok ? answer.value.arrayBuffer() : null;
  },
  closePlayback: (id: string) => call<void>("DELETE", `${API}/playback/${id}`),
};

export interface ReadsFilter {
  camera: string | null;
  from: string | null;
  to: string | null;
}

/** How a plate is looked for: this one, by `?` and `*`, or this one and what is one edit away. */
export const PLATE_MATCHES = ["exact", "wildcard", "similar"] as const;
export type PlateMatch = (typeof PLATE_MATCHES)[number];

export const reads = {
  list: (filter: ReadsFilter, cursor: string | null) =>
    call<Page<Read>>("GET", `${API}/reads${query({ ...filter, limit: 60, cursor })}`),
  search: (plate: string, match: PlateMatch, from: string, to: string, purpose: Purpose) =>
    call<Page<Read>>("POST", `${API}/reads/search`, { body: { plate, match, from, to, purpose } }),
  picture: (id: string, kind: "crop" | "overview", decision: string | null) =>
    `${API}/reads/${id}/${kind}.jpg${query({ decision })}`,
};

export type FindingVerdict = "approve" | "reject" | "unclear" | "undo";

export const findings = {
  list: (state: string) => all<Finding>(`${API}/findings`, { state }),
  get: (id: string) => call<Finding>("GET", `${API}/findings/${id}`),
  decide: (id: string, verdict: FindingVerdict, reason: string | null, seen_etag: string) =>
    call<Finding>("POST", `${API}/findings/${id}/decide`, { body: { verdict, reason, seen_etag } }),
  picture: (id: string, kind: "crop" | "overview" | "exit-crop" | "exit-overview", decision: string | null) =>
    `${API}/findings/${id}/${kind}.jpg${query({ decision })}`,
};

export const admin = {
  partners: () => all<Partner>(`${API}/partners`),
  createPartner: (body: PartnerBody) => call<Partner>("POST", `${API}/partners`, { body }),
  setPartner: (id: string, enabled: boolean) => call<Partner>("PATCH", `${API}/partners/${id}`, { body: { enabled } }),
  importCatalogue: (id: string) => call<CatalogueResult>("POST", `${API}/partners/${id}/catalogue`, { body: {} }),
  users: () => all<User>(`${API}/users`),
  createUser: (body: UserBody) => call<User>("POST", `${API}/users`, { body }),
  patchUser: (id: string, body: UserPatch) => call<User>("PATCH", `${API}/users/${id}`, { body }),
  orgs: () => all<Org>(`${API}/orgs`),
  audit: (from: string | null, to: string | null, cursor: string | null) =>
    call<Page<Leaf>>("GET", `${API}/audit${query({ from, to, limit: 100, cursor })}`),
  health: () => all<CameraHealth>(`${API}/health/cameras`),
};
