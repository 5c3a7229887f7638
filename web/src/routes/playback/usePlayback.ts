import { useCallback, useEffect, useRef, useState, type RefObject } from "react";
import { media } from "../../api/calls";
import type { Camera, PlaybackTicket, Session } from "../../api/types";
import { withPurpose } from "../../app/why";
import { fromWire, toWire } from "../../domain/time";
import { segmentFrom, ticketSpan, type Span } from "../../domain/timeline";
import type { WallMap } from "../../player/wallMap";
import { mapOf } from "./openSpan";

export type PlaybackState =
  | { kind: "none" }
  | { kind: "opening" }
  | { kind: "playing"; ticket: PlaybackTicket; starts: number; ends: number; map: WallMap; wish: number }
  | { kind: "nothing"; at: number }
  /** Played up to what is on disk now. */
  | { kind: "caught_up"; at: number }
  | { kind: "trouble"; code: string; at: number };

/** Fewer recorded milliseconds than this after the end of a ticket are not worth another ticket and another leaf. */
const WORTH_MS = 5000;
/** A frame position is aimed at a little behind its start, so that rounding never shows the one before, s. */
const INTO_FRAME_S = 0.002;
/** A seek that has not arrived after this gets its own ticket. */
const SEEK_MS = 2500;

interface Wanted {
  camera: Camera | null;
  streamId: string | null;
  session: Session;
  segments: readonly Span[];
}

/** Plays one camera: tickets of at most 15 minutes inside recorded spans, one after the other. */
export function usePlayback(video: RefObject<HTMLVideoElement | null>, wanted: Wanted) {
  const [state, setState] = useState<PlaybackState>({ kind: "none" });
  const [at, setAt] = useState<number | null>(null);
  const latest = useRef({ wanted, state });
  useEffect(() => {
    latest.current = { wanted, state };
  });
  const open = useRef<string | null>(null);
  const turn = useRef(0);
  const target = useRef(0);

  const release = useCallback(() => {
    if (open.current !== null) void media.closePlayback(open.current);
    open.current = null;
  }, []);

  const openAt = useCallback(
    async (ms: number): Promise<void> => {
      const { camera, streamId, session, segments } = latest.current.wanted;
      if (camera === null || streamId === null) return;
      turn.current += 1;
      const mine = turn.current;
      target.current = ms;
      setAt(ms);
      const wish = ticketSpan(segments, ms);
      // The element lets go of its source before the server is told to end it, or the browser reports a torn answer.
      if (open.current !== null) {
        video.current?.removeAttribute("src");
        video.current?.load();
      }
      release();
      if (wish === null) {
        setState({ kind: "nothing", at: ms });
        return;
      }
      setState({ kind: "opening" });
      const answer = await withPurpose(session, camera.needs?.playback ?? [], (purpose) =>
        media.playbackTicket(streamId, toWire(Math.floor(wish.from)), toWire(Math.ceil(wish.to)), purpose),
      );
      if (mine !== turn.current) {
        if (answer.ok) void media.closePlayback(answer.value.playback_id);
        return;
      }
      if (!answer.ok) {
        setState({ kind: "trouble", code: answer.problem.code, at: ms });
        return;
      }
      const ticket = answer.value;
      if (video.current?.canPlayType(ticket.mime) === "") {
        void media.closePlayback(ticket.playback_id);
        setState({ kind: "trouble", code: "codec_unsupported", at: ms });
        return;
      }
      open.current = ticket.playback_id;
      target.current = Math.max(ms, wish.from);
      setAt(target.current);
      setState({
        kind: "playing",
        ticket,
        starts: fromWire(ticket.starts_at),
        ends: fromWire(ticket.ends_at),
        map: mapOf(ticket),
        wish: target.current,
      });
    },
    [release, video],
  );

  /** Goes to an instant: inside the open span by seeking, else by a new ticket. */
  const goTo = useCallback(
    (ms: number): void => {
      const now = latest.current.state;
      const element = video.current;
      if (now.kind === "playing" && element !== null && ms >= now.starts && ms < now.ends - 50) {
        target.current = ms;
        setAt(ms);
        const mine = turn.current;
        const position = now.map.mediaOf(ms) + INTO_FRAME_S;
        element.currentTime = position;
        setTimeout(() => {
          const stuck = element.seeking || Math.abs(element.currentTime - position) > 30;
          if (mine === turn.current && target.current === ms && stuck) void openAt(ms);
        }, SEEK_MS);
      } else {
        void openAt(ms);
      }
    },
    [openAt, video],
  );

  const events = {
    onLoadedMetadata(): void {
      const now = latest.current.state;
      const element = video.current;
      if (now.kind !== "playing" || element === null) return;
      // The file begins at a key frame; the ticket says where the first frame from the wish on is.
      const exact = now.ticket.start_offset_us / 1e6;
      element.currentTime = (target.current === now.wish ? exact : now.map.mediaOf(target.current)) + INTO_FRAME_S;
    },
    onTimeUpdate(): void {
      const now = latest.current.state;
      const element = video.current;
      if (now.kind === "playing" && element !== null && !element.seeking) setAt(now.map.wallOf(element.currentTime));
    },
    onEnded(): void {
      const now = latest.current.state;
      if (now.kind !== "playing") return;
      const { segments } = latest.current.wanted;
      const next = segmentFrom(segments, now.ends + 50);
      const from = next === null ? now.ends : Math.max(now.ends, next.from);
      const newest = Math.max(...segments.map((segment) => segment.to));
      if (next === null || newest - from < WORTH_MS) {
        release();
        setState({ kind: "caught_up", at: now.ends });
      } else void openAt(from);
    },
    onError(): void {
      const now = latest.current.state;
      if (now.kind === "playing") setState({ kind: "trouble", code: "playback_failed", at: target.current });
    },
  };

  const stop = useCallback(() => {
    turn.current += 1;
    release();
    setState({ kind: "none" });
  }, [release]);
  useEffect(() => {
    const element = video.current;
    return () => {
      // An element that is gone from the page would hold on to its connection until it is collected.
      element?.removeAttribute("src");
      element?.load();
      stop();
    };
  }, [stop, video]);

  return { state, at, goTo, stop, events };
}
