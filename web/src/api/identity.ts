// The own second factors, step-up, and the active profile.

import type { KeyAnswer, KeyChallenge } from "../domain/webauthn";
import { call, renewsToken, setCsrfToken, type Result } from "./http";
import type { Session } from "./types";

const API = "/api/v1/session";

export interface Factor {
  id: string;
  kind: "totp" | "webauthn";
  name: string;
  created_at: string;
  used_at: string | null;
}
export interface Factors {
  kinds: ("totp" | "webauthn")[];
  offered: ("totp" | "webauthn")[];
  items: Factor[];
  recovery_left: number | null;
}
export interface TotpBegun {
  id: string;
  secret: string;
  uri: string;
  qr_svg: string;
}
export interface Recovery {
  recovery_codes: string[];
}
export interface LoginWays {
  password: boolean;
  /** What people call the identity provider; null without one. */
  provider: string | null;
}
export interface OwnSession {
  id: string;
  profile: string;
  created_at: string;
  seen_at: string;
  current: boolean;
}
export interface AccountNotice {
  at: string;
  what: string;
}
export type Proof = { code: string } | { recovery_code: string } | { key: KeyAnswer };

async function kept(answer: Promise<Result<Session>>): Promise<Result<Session>> {
  const result = await answer;
  if (result.ok) setCsrfToken(result.value.csrf_token);
  return result;
}

/** These never ask for a step-up themselves, but for those that say so. */
const quiet = { noStepUp: true } as const;

export const identity = {
  stepUp: (proof: Proof) =>
    renewsToken(() => kept(call<Session>("POST", `${API}/step-up`, { body: proof, quiet: true, ...quiet }))),
  stepUpKey: () => call<KeyChallenge>("POST", `${API}/step-up/key`, { body: {}, ...quiet }),
  switchProfile: (profile: string) => kept(call<Session>("POST", `${API}/profile`, { body: { profile } })),
  factors: () => call<Factors>("GET", `${API}/factors`, quiet),
  remove: (id: string) => call<void>("DELETE", `${API}/factors/${id}`),
  beginTotp: (name: string) => call<TotpBegun>("POST", `${API}/factors/totp`, { body: { name } }),
  endTotp: (id: string, code: string) =>
    call<Recovery>("POST", `${API}/factors/totp/${id}`, { body: { code }, ...quiet }),
  beginKey: () => call<KeyChallenge>("POST", `${API}/factors/key-challenge`, { body: {} }),
  endKey: (name: string, key: KeyAnswer) => call<Recovery>("POST", `${API}/factors/key`, { body: { name, key } }),
  renewRecovery: () => call<Recovery>("POST", `${API}/recovery-codes`, { body: {} }),
  ways: () => call<LoginWays>("GET", "/api/v1/login", { quiet: true }),
  beginProvider: () => call<{ address: string }>("POST", "/api/v1/login/provider", { quiet: true }),
  endProvider: (answer: { code: string; state: string; iss?: string }) =>
    kept(call<Session>("POST", "/api/v1/login/provider/answer", { body: answer, quiet: true })),
  sessions: () => call<{ items: OwnSession[] }>("GET", `${API}/all`),
  endSession: (id: string) => call<void>("DELETE", `${API}/all/${id}`),
  notices: () => call<{ items: AccountNotice[] }>("GET", `${API}/notices`),
  noticesSeen: () => call<void>("POST", `${API}/notices/seen`),
};
