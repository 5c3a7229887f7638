// What tests of screens share: a desk at which somebody is logged in, in English, and a server that answers from the test and keeps what it was
// asked. Nothing here goes into the console.

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeAll, vi } from "vitest";
import type { Camera, Session } from "../api/types";
import { SessionContext } from "../app/sessionContext";
import { startI18n } from "../i18n";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

// A machine under load is slow; what never comes is told a little later.
configure({ asyncUtilTimeout: 10_000 });

// The simulated page lacks it; react-aria asks for elements by id with it.
vi.stubGlobal("CSS", { escape: (text: string) => text.replace(/[^\w-]/g, (one) => `\\${one}`) });

beforeAll(async () => {
  localStorage.setItem("belfry.language", "en");
  await startI18n();
});

afterEach(() => {
  cleanup();
  vi.stubGlobal("fetch", undefined);
});

export interface Asked {
  method: string;
  path: string;
  body: unknown;
}

export interface Answer {
  status?: number;
  body: unknown;
}

/** Answers every request by `answer`; the list that comes back grows with each. */
export function server(answer: (asked: Asked) => Answer | Promise<Answer>): Asked[] {
  const list: Asked[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit): Promise<Response> => {
    const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : null;
    const asked = { method: init.method ?? "GET", path, body };
    list.push(asked);
    const { status = 200, body: told } = await answer(asked);
    return new Response(JSON.stringify(told), { status });
  });
  return list;
}

/** An answer that comes when the test says so. */
export function later(): { answer: Promise<Answer>; give: (answer: Answer) => void } {
  let give: (answer: Answer) => void = () => undefined;
  const answer = new Promise<Answer>((resolve) => {
    give = resolve;
  });
  return { answer, give };
}

/** One that never comes. */
export const never = new Promise<Answer>(() => undefined);

export const NONE: Answer = { body: { items: [], next_cursor: null } };

/** Shows a part of the console to somebody with these rights. */
export function show(node: ReactNode, { rights = [] as string[], profile = "P04", id = "usr_me" } = {}) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const user = { id, name: "An Peeters", user_name: "an", language: "en" };
  const session = { user, profile, rights } as unknown as Session;
  const inside = (what: ReactNode) => (
    <QueryClientProvider client={client}>
      <SessionContext value={session}>{what}</SessionContext>
    </QueryClientProvider>
  );
  const view = render(inside(node));
  /** Shows something else at the same desk, which keeps what it has fetched. */
  const swap = (next: ReactNode): void => view.rerender(inside(next));
  return { client, swap };
}

/** A camera of the own organisation, as far as forms look at it. */
export function camera(code: string, kind: string): Camera {
  return {
    id: `cam_${code}`,
    code,
    kind,
    name_nl: `Plein ${code}`,
    name_fr: `Plein ${code}`,
    partner: null,
    relation: "own",
    state: "live",
    owner: { id: "org_1", code: "5340", name_nl: "Zone", name_fr: "Zone" },
    may: {},
  } as unknown as Camera;
}
