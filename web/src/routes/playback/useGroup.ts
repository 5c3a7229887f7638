import { useCallback, useEffect, useRef, useState } from "react";
import { useTimelines } from "../../api/hooks";
import type { Camera } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { chooseStream } from "../../domain/camera";
import { fromWire, MINUTE } from "../../domain/time";
import { clockMarks, joined, type ClockMark, type Gap, type Span } from "../../domain/timeline";
import { canPlay } from "../../player/codec";
import { Group } from "../../player/group";
import { sourceOf } from "./openSpan";

/** What is known of one camera of the group. */
export interface Line {
  camera: Camera;
  /** Null: this browser plays none of its streams. */
  streamId: string | null;
  /** Null until the server has answered. */
  recorded: readonly Span[] | null;
  gaps: readonly Gap[];
  reads: readonly { id: string; at: number }[];
  clocks: readonly ClockMark[];
}

/** How often the page looks at the playhead, ms. */
const LOOK_MS = 250;

export function useLines(cameras: readonly Camera[], range: { from: string; to: string; live: boolean }): Line[] {
  const streams = cameras.map((camera) => ({
    camera: camera.id,
    stream: chooseStream(camera.streams, true, (one) => canPlay(one.codec)).stream?.id ?? null,
  }));
  const answers = useTimelines(streams, range.from, range.to, range.live);
  return cameras.map((camera, index) => {
    const data = answers[index]?.data;
    const spans = data?.segments.map((span) => ({ from: fromWire(span.from), to: fromWire(span.to) }));
    return {
      camera,
      streamId: streams[index]?.stream ?? null,
      recorded: spans === undefined ? null : joined(spans, 250),
      gaps: (data?.gaps ?? []).map((gap) => ({ from: fromWire(gap.from), to: fromWire(gap.to), cause: gap.cause })),
      reads: (data?.reads ?? []).map((read) => ({ id: read.id, at: fromWire(read.at) })),
      clocks: clockMarks(data),
    };
  });
}

/** The playhead of several cameras, and how a tile joins it. */
export function useGroup(lines: readonly Line[], wished: number | null) {
  const session = useSession();
  const [group, setGroup] = useState<Group | null>(null);
  const [, setTurn] = useState(0);
  const latest = useRef({ lines, session, wished });
  useEffect(() => {
    latest.current = { lines, session, wished };
  });
  useEffect(() => {
    const made = new Group(
      latest.current.wished ?? Date.now() - MINUTE,
      () => performance.now(),
      () => setTurn((turn) => turn + 1),
    );
    setGroup(made);
    const timer = setInterval(() => setTurn((turn) => turn + 1), LOOK_MS);
    return () => {
      clearInterval(timer);
      made.close();
    };
  }, []);
  useEffect(() => {
    if (wished !== null) group?.go(wished);
  }, [group, wished]);
  // A tile joins before this hook has seen its camera: what is known of the camera is read when it is needed.
  const join = useCallback(
    (camera: string, streamId: string, video: HTMLVideoElement): (() => void) | undefined => {
      const line = (): Line | undefined => latest.current.lines.find((one) => one.camera.id === camera);
      const needs = (): readonly string[] => line()?.camera.needs?.playback ?? [];
      const source = sourceOf(streamId, latest.current.session, needs, () => line()?.recorded ?? null);
      return group?.add(camera, video, source);
    },
    [group],
  );
  return { group, join };
}
