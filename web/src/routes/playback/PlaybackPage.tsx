import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { History } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useCameras, useTimeline } from "../../api/hooks";
import { useKeys } from "../../app/useKeys";
import { useRight, useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Empty, Notice } from "../../components/ui";
import { chooseStream, pickStream } from "../../domain/camera";
import { fromWire, MINUTE, SECOND, toWire } from "../../domain/time";
import { eventFrom, joined, segmentAt, zoom, type View } from "../../domain/timeline";
import { canPlay } from "../../player/codec";
import { CameraTree } from "../wall/CameraTree";
import { PlaybackBar } from "./PlaybackBar";
import { PlaybackSide } from "./PlaybackSide";
import { PlaybackStage } from "./PlaybackStage";
import { Timeline } from "./Timeline";
import { useFrameStep } from "./useFrameStep";
import { usePlayback } from "./usePlayback";

const route = getRouteApi("/playback");
/** How often the recorded spans are asked for again when the wished instant is not among them. */
const LOOK_AGAIN = 4;
const RATES = [0.25, 0.5, 1, 2, 4, 8];

function firstView(at: number): View {
  return { from: at - 12 * MINUTE, to: at + 3 * MINUTE };
}

/** The span asked of the server: wider than the view and on a grid, so that small moves ask nothing new. */
function asked(view: View): { from: string; to: string; live: boolean } {
  const width = view.to - view.from;
  const grid = Math.max(MINUTE, 2 ** Math.ceil(Math.log2(width)));
  const from = Math.floor((view.from - width / 2) / grid) * grid;
  const to = Math.ceil((view.to + width / 2) / grid) * grid;
  return { from: toWire(from), to: toWire(to), live: to > Date.now() };
}

export function PlaybackPage() {
  const { t, problem } = useWords();
  const session = useSession();
  const may = useRight();
  const navigate = useNavigate();
  const search = route.useSearch();
  const cameras = useCameras();
  const camera = cameras.data?.find((one) => one.id === search.camera) ?? null;
  const main = camera === null ? null : pickStream(camera.streams, true);
  const choice = camera === null ? null : chooseStream(camera.streams, true, (one) => canPlay(one.codec));
  const refusedCodec = choice?.refusedCodec ?? null;
  const [view, setView] = useState<View>(() => firstView(search.at ?? Date.now() - 30 * SECOND));
  const range = asked(view);
  // Where the main stream can't be played here, the other one is taken if it is recorded at all.
  const other = refusedCodec === null ? null : (choice?.stream ?? null);
  const otherLine = useTimeline(camera?.id ?? null, other?.id ?? null, range.from, range.to, range.live);
  const isOther = (otherLine.data?.segments.length ?? 0) > 0;
  const stream = isOther ? other : main;
  const blocked = refusedCodec !== null && !isOther && (other === null || otherLine.data !== undefined);
  const timeline = useTimeline(camera?.id ?? null, stream?.id ?? null, range.from, range.to, range.live);
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
  const wish = `${search.camera ?? ""}/${search.at ?? ""}`;
  const { refetch } = timeline;
  useEffect(() => {
    if (timeline.data === undefined || camera === null || begun.current === wish) return undefined;
    const from = search.at ?? Date.now() - 60 * SECOND;
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
  }, [timeline.data, timeline.dataUpdatedAt, recorded, gaps, camera, wish, search.at, goTo, refetch]);

  useEffect(() => {
    if (video.current !== null) video.current.playbackRate = rate;
  }, [rate, playback.state]);

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
  const step = useFrameStep(video, playback.state.kind === "playing");
  const here = at ?? Date.now();
  const previous = eventFrom(reads, gaps, here, "previous");
  const next = eventFrom(reads, gaps, here, "next");
  const newest = (): void => go(Math.max(...recorded.map((span) => span.to), Date.now() - MINUTE) - 10 * SECOND);
  /** The span in view, but not what has not happened yet. */
  const hold = (): void => {
    const to = Math.floor(Math.min(view.to, Date.now()));
    void navigate({
      to: "/holds",
      search: { camera: camera?.id ?? "", from: Math.floor(Math.min(view.from, to - MINUTE)), to },
    });
  };
  const faster = (by: number): void =>
    setRate((now) => RATES[Math.min(RATES.length - 1, Math.max(0, RATES.indexOf(now) + by))] ?? 1);
  useKeys((key, event) => {
    const inside = (selector: string): boolean =>
      event.target instanceof Element && event.target.closest(selector) !== null;
    if (event.altKey || camera === null) return false;
    if (inside("[role=treegrid]") && key.length > 1) return false;
    if (key === " " && inside("button,a")) return false;
    if (key.startsWith("Arrow") && inside("[role=listbox],[role=radiogroup]")) return false;
    const acts: Record<string, () => void> = {
      " ": toggle,
      k: () => video.current?.pause(),
      l: () => (video.current?.paused === true ? toggle() : faster(1)),
      j: () => go(here - 10 * SECOND),
      r: () => go(here - 15 * SECOND),
      ArrowLeft: () => go(here - (event.shiftKey ? MINUTE : 10 * SECOND)),
      ArrowRight: () => go(here + (event.shiftKey ? MINUTE : 10 * SECOND)),
      ",": () => step(-1),
      ".": () => step(1),
      ArrowUp: () => faster(1),
      ArrowDown: () => faster(-1),
      p: () => (previous === null ? undefined : go(previous)),
      n: () => (next === null ? undefined : go(next)),
      End: newest,
      "+": () => setView(zoom(view, here, 0.5)),
      "=": () => setView(zoom(view, here, 0.5)),
      "-": () => setView(zoom(view, here, 2)),
    };
    const act = acts[key.length === 1 ? key.toLowerCase() : key];
    if (act === undefined) return false;
    act();
    return true;
  });

  return (
    <section aria-label={t("page.playback")} className="flex h-full min-h-0">
      <h1 className="sr-only">{t("page.playback")}</h1>
      <aside aria-label={t("tree.label")} className="w-[268px] shrink-0 border-r border-line bg-panel">
        {cameras.data !== undefined ? (
          <CameraTree
            cameras={cameras.data.filter((one) => one.may.playback)}
            shown={new Set(camera === null ? [] : [camera.id])}
            onChoose={(chosen) => void navigate({ to: "/playback", search: { camera: chosen.id } })}
          />
        ) : (
          <Busy label={t("common.loading")} />
        )}
      </aside>
      {camera === null ? (
        <div className="flex-1">
          <Empty icon={History}>{t("playback.choose")}</Empty>
        </div>
      ) : (
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
            <PlaybackSide gaps={gaps} reads={reads} view={view} onGo={go} />
          </div>
          {timeline.isError ? <Notice tone="bad">{problem(timeline.error)}</Notice> : null}
          <PlaybackBar
            video={video}
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
            onHold={may("hold.set") && camera.partner === null ? hold : null}
          />
          <Timeline view={view} onView={setView} recorded={recorded} gaps={gaps} reads={reads} at={at} onGo={go} />
        </div>
      )}
    </section>
  );
}
