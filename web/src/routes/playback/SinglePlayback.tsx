import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTimeline } from "../../api/hooks";
import type { Camera } from "../../api/types";
import { useRight, useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Notice } from "../../components/ui";
import { chooseStream, pickStream } from "../../domain/camera";
import { fromWire, MINUTE, SECOND } from "../../domain/time";
import { clockMarks, eventFrom, joined, segmentAt } from "../../domain/timeline";
import { canPlay } from "../../player/codec";
import { asked, firstView, RATES, type PageProps } from "./page";
import { PlaybackBar } from "./PlaybackBar";
import { PlaybackSide } from "./PlaybackSide";
import { PlaybackStage } from "./PlaybackStage";
import { Timeline } from "./Timeline";
import { useFrameStep } from "./useFrameStep";
import { usePaused } from "./usePaused";
import { usePlayback } from "./usePlayback";
import { usePlaybackKeys } from "./usePlaybackKeys";
import { usePreview } from "./usePreview";

/** How often the recorded spans are asked for again when the wished instant is not among them. */
const LOOK_AGAIN = 4;

/** One camera: tickets one after the other, gaps are skipped. */
export function SinglePlayback({ camera, at: wished, onHead }: PageProps & { camera: Camera }) {
  const { problem } = useWords();
  const session = useSession();
  const may = useRight();
  const navigate = useNavigate();
  const main = pickStream(camera.streams, true);
  const choice = chooseStream(camera.streams, true, (one) => canPlay(one.codec));
  const refusedCodec = choice.refusedCodec;
  const [view, setView] = useState(() => firstView(wished ?? Date.now() - 30 * SECOND));
  const range = asked(view);
  // Where the main stream can't be played here, the other one is taken if it is recorded at all.
  const other = refusedCodec === null ? null : choice.stream;
  const otherLine = useTimeline(camera.id, other?.id ?? null, range.from, range.to, range.live);
  const isOther = (otherLine.data?.segments.length ?? 0) > 0;
  const stream = isOther ? other : main;
  const blocked = refusedCodec !== null && !isOther && (other === null || otherLine.data !== undefined);
  const timeline = useTimeline(camera.id, stream?.id ?? null, range.from, range.to, range.live);
  const recorded = useMemo(
    () =>
      joined(
        (timeline.data?.segments ?? []).map((span) => ({ from: fromWire(span.from), to: fromWire(span.to) })),
        250,
      ),
    [timeline.data],
  );
  const gaps = useMemo(
    () =>
      (timeline.data?.gaps ?? []).map((gap) => ({ from: fromWire(gap.from), to: fromWire(gap.to), cause: gap.cause })),
    [timeline.data],
  );
  const reads = useMemo(
    () => (timeline.data?.reads ?? []).map((read) => ({ id: read.id, at: fromWire(read.at) })),
    [timeline.data],
  );
  const clocks = useMemo(() => clockMarks(timeline.data), [timeline.data]);
  const video = useRef<HTMLVideoElement>(null);
  const playback = usePlayback(video, {
    camera,
    streamId: refusedCodec !== null && !isOther ? null : (stream?.id ?? null),
    session,
    segments: recorded,
  });
  const [rate, setRate] = useState(1);
  const { goTo, at } = playback;

  // A camera chosen here, or an instant handed over by a read, starts by itself once the recorded spans are known.
  const begun = useRef("");
  const tries = useRef(0);
  const wish = `${camera.id}/${wished ?? ""}`;
  const { refetch } = timeline;
  useEffect(() => {
    if (timeline.data === undefined || begun.current === wish) return undefined;
    const from = wished ?? Date.now() - 60 * SECOND;
    // A segment that has just been closed may be told a moment later than the one that runs: look again before skipping it.
    const isTold = segmentAt(recorded, from) !== null || gaps.some((gap) => from >= gap.from && from < gap.to);
    if (!isTold && tries.current < LOOK_AGAIN && from > Date.now() - 5 * MINUTE) {
      tries.current += 1;
      const timer = setTimeout(() => void refetch(), SECOND);
      return () => clearTimeout(timer);
    }
    begun.current = wish;
    tries.current = 0;
    goTo(from);
    return undefined;
  }, [timeline.data, timeline.dataUpdatedAt, recorded, gaps, wish, wished, goTo, refetch]);

  useEffect(() => {
    if (video.current !== null) video.current.playbackRate = rate;
  }, [rate, playback.state]);

  useEffect(() => {
    if (at !== null) onHead(at);
  }, [at, onHead]);

  const go = (ms: number): void => {
    goTo(ms);
    const width = view.to - view.from;
    if (ms < view.from || ms > view.to) setView({ from: ms - width * 0.8, to: ms + width * 0.2 });
  };
  const toggle = (): void => {
    const element = video.current;
    if (element === null) return;
    if (element.paused) element.play().catch(() => undefined);
    else element.pause();
  };
  const paused = usePaused(video);
  const step = useFrameStep(video, playback.state.kind === "playing");
  const here = at ?? Date.now();
  const previous = eventFrom(reads, gaps, here, "previous");
  const next = eventFrom(reads, gaps, here, "next");
  const newest = (): void => go(Math.max(...recorded.map((span) => span.to), Date.now() - MINUTE) - 10 * SECOND);
  /** The span in view, but not what has not happened yet. */
  const onward = (page: "/holds" | "/exports") => (): void => {
    const to = Math.floor(Math.min(view.to, Date.now()));
    void navigate({
      to: page,
      search: { camera: camera.id, from: Math.floor(Math.min(view.from, to - MINUTE)), to },
    });
  };
  const faster = (by: number): void =>
    setRate((now) => RATES[Math.min(RATES.length - 1, Math.max(0, RATES.indexOf(now) + by))] ?? 1);
  usePlaybackKeys({
    toggle,
    pause: () => video.current?.pause(),
    isPaused: () => video.current?.paused === true,
    faster,
    go,
    here,
    step,
    previous,
    next,
    newest,
    view,
    onView: setView,
  });
  const preview = usePreview(camera, playback.state.kind === "playing" ? (stream?.id ?? null) : null, view);

  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <div className="flex min-h-0 flex-1">
        <PlaybackStage
          camera={camera}
          video={video}
          playback={playback}
          refusedCodec={refusedCodec}
          blocked={blocked}
          onGo={go}
        />
        <PlaybackSide gaps={gaps} reads={reads} clocks={clocks} view={view} onGo={go} />
      </div>
      {timeline.isError ? <Notice tone="bad">{problem(timeline.error)}</Notice> : null}
      <PlaybackBar
        paused={paused}
        at={at}
        rate={rate}
        rates={RATES}
        onRate={setRate}
        onToggle={toggle}
        onGo={go}
        onNewest={newest}
        onStep={step}
        onPrevious={previous === null ? null : () => go(previous)}
        onNext={next === null ? null : () => go(next)}
        view={view}
        onView={setView}
        onHold={may("hold.set") && camera.partner === null ? onward("/holds") : null}
        onExport={may("export") && camera.partner === null ? onward("/exports") : null}
      />
      <Timeline
        view={view}
        onView={setView}
        recorded={recorded}
        gaps={gaps}
        reads={reads}
        clocks={clocks}
        at={at}
        onGo={go}
        preview={preview}
      />
    </div>
  );
}
