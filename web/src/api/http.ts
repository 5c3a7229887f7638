// The only place that speaks HTTP. Every call answers with a union; no call throws.

import { store } from "../domain/store";

export interface Problem {
  /** 0: no answer at all. */
  status: number;
  /** The contract; worded in the user's language by `problemText`. */
  code: string;
  detail: string | null;
  errors: { field: string; problem: string }[];
  /** Everything that the matrix asks for and the request did not say. */
  missing?: string[];
}

export type Result<T> = { ok: true; value: T; etag: string | null } | { ok: false; problem: Problem };

/** Counts answers `401` after a log-in: the overlay watches it. */
export const sessionLost = store(false);

/** Asks for a fresh second factor; true when one was shown. Set by the part of the console that has a dialog for it. */
export const askStepUp = plainStore<(() => Promise<boolean>) | null>(null);

/** A value of a function: `store` would call it. */
function plainStore<T>(initial: T): { get(): T; set(next: T): void } {
  let value = initial;
  return {
    get: () => value,
    set: (next) => {
      value = next;
    },
  };
}

/** Calls after which the session has another token (a step-up), and how many came back: what was under way beside one may arrive with the old. */
let renewing: Promise<unknown> | null = null;
let renewals = 0;

/** Runs a call that gives the session a new token; other calls that are refused meanwhile are sent again after it. */
export async function renewsToken<T>(run: () => Promise<T>): Promise<T> {
  const running = run();
  renewing = running;
  try {
    return await running;
  } finally {
    renewals += 1;
    if (renewing === running) renewing = null;
  }
}

let csrfToken: string | null = null;

export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

export interface CallOptions {
  body?: unknown;
  ifMatch?: string | null;
  /** A log-in's own 401 is no lost session. */
  quiet?: boolean;
  /** The call is part of a step-up. */
  noStepUp?: boolean;
  /** Sent again after a step-up beside it. */
  renewed?: boolean;
}

export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<Result<T>> {
  const answer = await send(method, path, options);
  if (!(answer instanceof Response)) return answer;
  const etag = answer.headers.get("etag");
  if (answer.status === 204) return { ok: true, value: undefined as T, etag };
  try {
    return { ok: true, value: (await answer.json()) as T, etag };
  } catch {
    return { ok: true, value: undefined as T, etag };
  }
}

/** For pictures: the body as a blob. */
export async function callBlob(method: string, path: string, options: CallOptions = {}): Promise<Result<Blob>> {
  const answer = await send(method, path, options);
  if (!(answer instanceof Response)) return answer;
  return { ok: true, value: await answer.blob(), etag: answer.headers.get("etag") };
}

/** A picture and when it was taken. */
export async function callPicture(
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Result<{ jpeg: Blob; capturedAt: string }>> {
  const answer = await send(method, path, options);
  if (!(answer instanceof Response)) return answer;
  const value = { jpeg: await answer.blob(), capturedAt: answer.headers.get("x-captured-at") ?? "" };
  return { ok: true, value, etag: null };
}

/** Part of a file; null when it can't be had, or was given up. */
export async function callBytes(
  path: string,
  start: number,
  end: number,
  signal: AbortSignal,
  renewed = false,
): Promise<ArrayBuffer | null> {
  const before = renewals;
  try {
    const headers = { range: `bytes=${start}-${end - 1}` };
    const answer = await fetch(path, { headers, credentials: "same-origin", cache: "no-store", signal });
    if (answer.status === 401) {
      await renewing;
      if (renewals !== before && !renewed) return callBytes(path, start, end, signal, true);
      sessionLost.set(true);
    }
    return answer.status === 206 ? await answer.arrayBuffer() : null;
  } catch {
    return null;
  }
}

async function send(
  method: string,
  path: string,
  options: CallOptions,
): Promise<Response | { ok: false; problem: Problem }> {
  const headers: Record<string, string> = { accept: "application/json, application/problem+json, image/jpeg" };
  if (options.body !== undefined) headers["content-type"] = "application/json";
  if (csrfToken !== null && method !== "GET") headers["x-csrf-token"] = csrfToken;
  if (options.ifMatch !== undefined && options.ifMatch !== null) headers["if-match"] = options.ifMatch;
  let answer: Response;
  const before = renewals;
  try {
    const body = options.body === undefined ? {} : { body: JSON.stringify(options.body) };
    answer = await fetch(path, { method, headers, credentials: "same-origin", cache: "no-store", ...body });
  } catch {
    return { ok: false, problem: { status: 0, code: "unreachable", detail: null, errors: [] } };
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && options.quiet !== true) {
    // A step-up under way or just over gave the session a new token: this call may have left with the one before.
    await renewing;
    if (renewals !== before && options.renewed !== true) return send(method, path, { ...options, renewed: true });
    sessionLost.set(true);
  }
  const problem = await problemOf(answer);
  const ask = askStepUp.get();
  // Asked once: a second refusal is told as it is.
  if (problem.code === "step_up_needed" && options.noStepUp !== true && ask !== null && (await ask())) {
    return send(method, path, { ...options, noStepUp: true });
  }
  return { ok: false, problem };
}

async function problemOf(answer: Response): Promise<Problem> {
  let raw: Record<string, unknown> = {};
  try {
    raw = (await answer.json()) as Record<string, unknown>;
  } catch {
    // A proxy's page or an empty body: the status alone speaks.
  }
  return {
    status: answer.status,
    code: typeof raw["code"] === "string" ? raw["code"] : `http_${answer.status}`,
    detail: typeof raw["detail"] === "string" ? raw["detail"] : null,
    errors: Array.isArray(raw["errors"]) ? (raw["errors"] as Problem["errors"]) : [],
    missing: Array.isArray(raw["missing"])
      ? raw["missing"].filter((one): one is string => typeof one === "string")
      : [],
  };
}

/** For the query cache, whose functions throw. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
    this.name = "ApiError";
  }
}

export function unwrap<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new ApiError(result.problem);
}

/** `?a=1&b=2` without the empty ones. */
export function query(values: Record<string, string | number | null | undefined>): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") out.set(key, String(value));
  }
  const text = out.toString();
  return text === "" ? "" : `?${text}`;
}
