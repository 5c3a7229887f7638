// The event stream of the server: patches and refreshes the query cache.

import type { QueryClient } from "@tanstack/react-query";
import { store } from "../domain/store";
import { session } from "./calls";
import { sessionLost } from "./http";
import { keys } from "./keys";
import type { Camera, CameraHealth } from "./types";

export type LinkState = "connecting" | "open" | "lost";
export const linkState = store<LinkState>("connecting");
/** Set when the server says that the session will end soon. */
export const sessionExpiring = store(false);
/** Id of the newest read, so that the list can mark it. */
export const lastRead = store<{ id: string; camera_id: string; at: string } | null>(null);

interface HealthEvent {
  camera_id: string;
  phase: string;
  cause: string | null;
  last_frame_at: string | null;
}

const REFETCH_MS = 700;

/** A stream that the browser has given up (any answer but 200) is opened anew after this. */
const REOPEN_MS = 3000;

/**
 * Starts listening; the returned function stops. After a lost connection the browser reconnects by itself with
 * `Last-Event-ID`; after a refusal this asks whether the session still stands and else opens a new stream.
 */
export function listen(client: QueryClient): () => void {
  let stopped = false;
  let source = open(client, refused);
  let timer: ReturnType<typeof setTimeout> | undefined;
  function refused(): void {
    source.close();
    void session.touch().then((answer) => {
      if (stopped || (!answer.ok && answer.problem.status === 401)) return;
      timer = setTimeout(() => {
        source = open(client, refused);
        // What happened meanwhile is unknown: load anew.
        void client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "session" });
      }, REOPEN_MS);
    });
  }
  return () => {
    stopped = true;
    clearTimeout(timer);
    source.close();
  };
}

function open(client: QueryClient, refused: () => void): EventSource {
  const source = new EventSource("/api/v1/events");
  const soon = throttled((key: readonly unknown[]) => void client.invalidateQueries({ queryKey: key }));
  source.onopen = () => linkState.set("open");
  source.onerror = () => {
    linkState.set("lost");
    if (source.readyState === EventSource.CLOSED) refused();
  };
  source.addEventListener("camera.health", (event) => {
    const health = parse<HealthEvent>(event);
    if (health !== null) patchHealth(client, health);
  });
  source.addEventListener("read", (event) => {
    const read = parse<{ id: string; camera_id: string; at: string }>(event);
    if (read === null) return;
    lastRead.set(read);
    soon(keys.reads);
  });
  source.addEventListener("hit", () => soon(keys.hits));
  source.addEventListener("finding", () => soon(keys.findings));
  source.addEventListener("sharing", () => {
    soon(keys.sharing);
    soon(keys.cameras);
  });
  source.addEventListener("session", (event) => {
    const why = parse<{ why: string }>(event)?.why;
    if (why === "expiring") sessionExpiring.set(true);
    if (why === "ended") sessionLost.set(true);
  });
  source.addEventListener("reset", () => void client.invalidateQueries());
  return source;
}

function parse<T>(event: Event): T | null {
  try {
    return JSON.parse((event as MessageEvent<string>).data) as T;
  } catch {
    return null;
  }
}

function patchHealth(client: QueryClient, health: HealthEvent): void {
  const { phase, cause, last_frame_at } = health;
  client.setQueryData<Camera[]>(keys.cameras, (before) =>
    before?.map((camera) =>
      camera.id === health.camera_id ? { ...camera, health: { phase, cause, last_frame_at } } : camera,
    ),
  );
  client.setQueryData<CameraHealth[]>(keys.health, (before) =>
    before?.map((row) => (row.camera_id === health.camera_id ? { ...row, phase, cause, last_frame_at } : row)),
  );
}

/** At most one call a key in the interval; the last one is never lost. */
function throttled(run: (key: readonly unknown[]) => void): (key: readonly unknown[]) => void {
  const waiting = new Set<string>();
  return (key) => {
    const id = JSON.stringify(key);
    if (waiting.has(id)) return;
    waiting.add(id);
    setTimeout(() => {
      waiting.delete(id);
      run(key);
    }, REFETCH_MS);
  };
}
