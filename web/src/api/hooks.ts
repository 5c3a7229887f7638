// Cached reads for the screens.

import { useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query";
import {
  admin,
  cameras,
  exports,
  findings,
  gated,
  holds,
  legalChanges,
  reads,
  session,
  type ReadsFilter,
} from "./calls";
import { unwrap } from "./http";
import { keys } from "./keys";
import type { Timeline } from "./types";

export const useSessionQuery = () =>
  useQuery({
    queryKey: keys.session,
    queryFn: async () => unwrap(await session.get()),
    retry: (count, error) => error.message === "unreachable" && count < 3,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });

export const useCameras = (enabled = true) =>
  useQuery({ queryKey: keys.cameras, queryFn: async () => unwrap(await cameras.list()), enabled, staleTime: 30_000 });

export const useCamera = (id: string | null) =>
  useQuery({
    queryKey: [...keys.cameras, id],
    queryFn: async () => {
      const answer = await cameras.get(id ?? "");
      return { camera: unwrap(answer), etag: answer.ok ? answer.etag : null };
    },
    enabled: id !== null,
  });

/** Proposals that wait, or with a camera every version of its legal fields. */
export const useLegalChanges = (camera: string | null, enabled: boolean) =>
  useQuery({
    queryKey: [...keys.legalChanges, camera],
    queryFn: async () => unwrap(await (camera === null ? legalChanges.waiting() : legalChanges.of(camera))),
    enabled,
    refetchInterval: 60_000,
  });

export const useExports = () =>
  useQuery({
    queryKey: keys.exports,
    queryFn: async () => unwrap(await exports.list()),
    refetchInterval: (query) =>
      query.state.data?.some((one) => one.state === "running" || one.state === "queued") ? 1_000 : 10_000,
  });

export const useExportFiles = (id: string, open: boolean) =>
  useQuery({
    queryKey: [...keys.exports, id],
    queryFn: async () => unwrap(await exports.files(id)),
    enabled: open,
  });

export const useGated = () =>
  useQuery({ queryKey: keys.gated, queryFn: async () => unwrap(await gated.list()), refetchInterval: 15_000 });

export const useHolds = (released: boolean) =>
  useQuery({
    queryKey: [...keys.holds, released],
    queryFn: async () => unwrap(await holds.list(released)),
    refetchInterval: 15_000,
  });

export const useTimeline = (camera: string | null, stream: string | null, from: string, to: string, live: boolean) =>
  useQuery({
    queryKey: [...keys.timeline, camera, stream, from, to],
    queryFn: async () => unwrap(await cameras.timeline(camera ?? "", stream ?? "", from, to)),
    enabled: camera !== null && stream !== null,
    refetchInterval: live ? 5_000 : false,
    placeholderData: (before) => (before?.stream_id === stream ? before : undefined),
  });

/** The recorded spans of several streams, in the order asked. */
export const useTimelines = (
  streams: readonly { camera: string; stream: string | null }[],
  from: string,
  to: string,
  live: boolean,
) =>
  useQueries({
    queries: streams.map(({ camera, stream }) => ({
      queryKey: [...keys.timeline, camera, stream, from, to],
      queryFn: async () => unwrap(await cameras.timeline(camera, stream ?? "", from, to)),
      enabled: stream !== null,
      refetchInterval: live ? 5_000 : (false as const),
      placeholderData: (before: Timeline | undefined) => (before?.stream_id === stream ? before : undefined),
    })),
  });

export const useReads = (filter: ReadsFilter) =>
  useInfiniteQuery({
    queryKey: [...keys.reads, filter],
    queryFn: async ({ pageParam }) => unwrap(await reads.list(filter, pageParam)),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
  });

export const useFindings = (state: string) =>
  useQuery({ queryKey: [...keys.findings, state], queryFn: async () => unwrap(await findings.list(state)) });

export const findingKey = (id: string | null) => [...keys.findings, "one", id];

export const useFinding = (id: string | null) =>
  useQuery({
    queryKey: findingKey(id),
    queryFn: async () => unwrap(await findings.get(id ?? "")),
    enabled: id !== null,
  });

export const usePartners = () =>
  useQuery({ queryKey: keys.partners, queryFn: async () => unwrap(await admin.partners()) });

export const useUsers = (enabled = true) =>
  useQuery({ queryKey: keys.users, queryFn: async () => unwrap(await admin.users()), enabled });

export const useOrgs = () =>
  useQuery({ queryKey: keys.orgs, queryFn: async () => unwrap(await admin.orgs()), staleTime: 300_000 });

export const useAudit = (from: string | null, to: string | null) =>
  useInfiniteQuery({
    queryKey: [...keys.audit, from, to],
    queryFn: async ({ pageParam }) => unwrap(await admin.audit(from, to, pageParam)),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    enabled: from !== null && to !== null,
  });

export const useHealth = () =>
  useQuery({ queryKey: keys.health, queryFn: async () => unwrap(await admin.health()), refetchInterval: 10_000 });
