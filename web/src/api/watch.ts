// Calls and shapes of the role matrix, second persons, alarms, notices, stations and data subjects' requests (docs/MATRIX.md, docs/SHARING.md).

import { useQuery } from "@tanstack/react-query";
import type { Area } from "../domain/area";
import { call, callPicture, query, unwrap, type Result } from "./http";
import { keys } from "./keys";
import type { Org, Page } from "./types";

const API = "/api/v1";

interface Signed {
  user_id: string;
  name: string;
  at: string;
}

export interface Cell {
  profile: string;
  right: string;
  relation: "own" | "shared" | "other";
  needs: string[];
}

export interface Matrix {
  version: string;
  valid_from: string;
  source: string;
  digest: string;
  active_since: string | null;
  cells: Cell[];
  text: string;
}

export interface CellChange {
  profile: string;
  right: string;
  relation: string;
  turn: string;
  before: string | null;
  after: string | null;
  accounts: number;
  orgs: string[];
  cameras: number;
  camera_names: string[];
}

export interface MatrixDiff {
  from: string;
  to: string;
  who_gains: string[];
  who_loses: string[];
  changes: CellChange[];
}

export interface MatrixVersion {
  id: string;
  version: string;
  state: string;
  reason: string;
  proposed: Signed | null;
  created_at: string;
  active_at: string;
  settled: Signed | null;
  answer: string | null;
}

export interface MatrixSight {
  version: MatrixVersion;
  text: string;
  diff: MatrixDiff | null;
  may_settle: boolean;
  may_withdraw: boolean;
}

export interface Ability {
  right: string;
  needs: string[];
  source: string;
}

export interface SecondWish {
  id: string;
  kind: string;
  object: string;
  name: string;
  reason: string;
  asked: Signed;
  state: string;
  answer: string | null;
  settled: Signed | null;
  may_settle: boolean;
  may_withdraw: boolean;
}

export interface Anomaly {
  id: string;
  rule: string;
  user_id: string;
  org: string;
  counted: number;
  allowed: number;
  window_s: number;
  at: string;
  told_at: string;
  state: string;
  answer: string | null;
  settled: Signed | null;
}

export interface SharingNotice {
  id: number;
  at: string;
  org: Org | null;
  kind: string;
  data: Record<string, unknown>;
}

export interface Station {
  id: string;
  org_id: string;
  name: string;
  agreement: string;
  registered: Signed;
  revoked_at: string | null;
}

export interface SubjectRequest {
  id: string;
  regime: string;
  file_ref: string;
  reasons: string;
  language: string;
  lat: number;
  lon: number;
  radius_m: number;
  from: string;
  to: string;
  due: string;
  received: Signed;
  state: string;
  answer: string | null;
  answered: Signed | null;
}

export interface SubjectBody {
  file_ref: string;
  reasons: string;
  language: string;
  lat: number;
  lon: number;
  radius_m: number;
  from: string;
  to: string;
  received_at: string;
}

export interface SubjectFootage {
  camera_id: string;
  code: string;
  distance_m: number;
  spans: { from: string; to: string }[];
}

/** Which still, and what of it stays clear. */
export interface StillBody {
  camera_id: string;
  at: string;
  keep: Area | null;
  hide: Area[];
}

export interface Still {
  jpeg: Blob;
  capturedAt: string;
}

async function items<T>(path: string): Promise<Result<T[]>> {
  const answer = await call<Page<T>>("GET", API + path);
  return answer.ok ? { ok: true, value: answer.value.items, etag: null } : answer;
}

const post = <T = unknown>(path: string, body: object = {}): Promise<Result<T>> =>
  call<T>("POST", API + path, { body });

export const watch = {
  matrix: () => call<Matrix>("GET", `${API}/matrix`),
  abilities: (profile: string, relation: string) => items<Ability>(`/matrix/abilities${query({ profile, relation })}`),
  versions: () => items<MatrixVersion>("/matrix/versions"),
  version: (id: string) => call<MatrixSight>("GET", `${API}/matrix/versions/${id}`),
  diff: (text: string) => post<MatrixDiff>("/matrix/diff", { text }),
  propose: (text: string, reason: string, active_at: string | null) =>
    post<MatrixSight>("/matrix/versions", { text, reason, active_at }),
  settleMatrix: (id: string, word: "approve" | "refuse" | "withdraw", reason: string) =>
    post(`/matrix/versions/${id}/${word}`, word === "refuse" ? { reason } : {}),
  seconds: () => items<SecondWish>("/second-wishes"),
  settleSecond: (id: string, word: "approve" | "refuse" | "withdraw", reason: string) =>
    post(`/second-wishes/${id}/${word}`, word === "refuse" ? { reason } : {}),
  anomalies: () => items<Anomaly>("/anomalies"),
  settleAnomaly: (id: string, answer: string) => post(`/anomalies/${id}/settle`, { answer }),
  notices: () => items<SharingNotice>(`/notices${query({ limit: "100" })}`),
  stations: () => items<Station>("/stations"),
  addStation: (org_id: string, name: string, agreement: string) =>
    post<{ station: Station; code: string }>("/stations", { org_id, name, agreement }),
  endStation: (id: string) => call<unknown>("DELETE", `${API}/stations/${id}`),
  enterStation: (code: string) => post("/session/station", { code }),
  subjects: () => items<SubjectRequest>("/subject-requests"),
  takeIn: (body: SubjectBody) => post<SubjectRequest>("/subject-requests", body),
  footage: (id: string) => items<SubjectFootage>(`/subject-requests/${id}/footage`),
  still: (id: string, body: StillBody) => callPicture("POST", `${API}/subject-requests/${id}/stills`, { body }),
  answerSubject: (id: string, refuse: boolean, text: string) =>
    post(`/subject-requests/${id}/answer`, { refuse, text }),
};

/** A list under the key of sharing: loaded anew when the server says that something changed. */
function useList<T>(name: string, load: () => Promise<Result<T>>, enabled = true) {
  return useQuery({
    queryKey: [...keys.sharing, name],
    queryFn: async () => unwrap(await load()),
    enabled,
    refetchInterval: 15_000,
  });
}

export const useMatrix = () => useList("matrix", watch.matrix);
export const useMatrixVersions = () => useList("matrix-versions", watch.versions);
export const useMatrixVersion = (id: string) => useList(`matrix-${id}`, () => watch.version(id));
export const useAbilities = (profile: string, relation: string) =>
  useList(`abilities-${profile}-${relation}`, () => watch.abilities(profile, relation));
export const useSeconds = (enabled: boolean) => useList("seconds", watch.seconds, enabled);
export const useAnomalies = (enabled: boolean) => useList("anomalies", watch.anomalies, enabled);
export const useNotices = (enabled: boolean) => useList("notices", watch.notices, enabled);
export const useStations = () => useList("stations", watch.stations);
export const useSubjects = () => useList("subjects", watch.subjects);
