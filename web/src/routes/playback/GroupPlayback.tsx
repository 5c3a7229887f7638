import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { Camera } from "../../api/types";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { MINUTE, SECOND } from "../../domain/time";
import { eventFrom } from "../../domain/timeline";
import { GroupTile } from "./GroupTile";
import { asked, firstView, RATES, type PageProps } from "./page";
import { PlaybackBar } from "./PlaybackBar";
import { PlaybackSide } from "./PlaybackSide";
import { Timeline } from "./Timeline";
import { useGroup, useLines } from "./useGroup";
import { usePlaybackKeys } from "./usePlaybackKeys";
import { usePreview } from "./usePreview";

/** Several cameras under one playhead: a gap of one is shown as such while the others go on. */
export function GroupPlayback({
  cameras,
  at: wished,
  onHead,
  onDrop,
}: PageProps & { cameras: readonly Camera[]; onDrop: (id: string) => void }) {
  const { t, time } = useWords();
  const may = useRight();
  const navigate = useNavigate();
  const [view, setView] = useState(() => firstView(wished ?? Date.now() - 30 * SECOND));
  const [chosen, setChosen] = useState<string | null>(null);
  const lines = useLines(cameras, asked(view));
  const { group, join } = useGroup(lines, wished);
  const here = group?.clock.wall() ?? wished ?? view.to;
  const rate = group?.clock.rate ?? 1;
  useEffect(() => onHead(here), [here, onHead]);
  const selected = lines.find((line) => line.camera.id === chosen) ?? lines[0];
  const gaps = lines.flatMap((line) => line.gaps).sort((a, b) => a.from - b.from);
  const reads = lines.flatMap((line) => line.reads).sort((a, b) => a.at - b.at);

  const go = (ms: number): void => {
    group?.go(ms);
    const width = view.to - view.from;
    if (ms < view.from || ms > view.to) setView({ from: ms - width * 0.8, to: ms + width * 0.2 });
  };
  const newest = (): void =>
    go(
      Math.max(...lines.flatMap((line) => line.recorded ?? []).map((span) => span.to), Date.now() - MINUTE) -
        10 * SECOND,
    );
  const previous = eventFrom(reads, gaps, here, "previous");
  const next = eventFrom(reads, gaps, here, "next");
  const setRate = (wanted: number): void => group?.setRate(wanted);
  usePlaybackKeys({
    toggle: () => group?.toggle(),
    pause: () => (group?.clock.playing === true ? group.toggle() : undefined),
    isPaused: () => group?.clock.playing !== true,
    faster: (by) => setRate(RATES[Math.min(RATES.length - 1, Math.max(0, RATES.indexOf(rate) + by))] ?? 1),
    go,
    here,
    step: (frames) => group?.step(frames),
    previous,
    next,
    newest,
    view,
    onView: setView,
  });
  const shows = selected !== undefined && group?.stateOf(selected.camera.id).kind === "playing";
  const preview = usePreview(selected?.camera ?? null, shows ? selected.streamId : null, view);
  const onward = (page: "/holds" | "/exports") => (): void => {
    if (selected === undefined) return;
    const to = Math.floor(Math.min(view.to, Date.now()));
    const from = Math.floor(Math.min(view.from, to - MINUTE));
    void navigate({ to: page, search: { camera: selected.camera.id, from, to } });
  };
  const columns = Math.ceil(Math.sqrt(cameras.length));

  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <div className="flex min-h-0 flex-1">
        <div
          className="relative grid min-w-0 flex-1 gap-px bg-line"
          style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`, gridAutoRows: "minmax(0, 1fr)" }}
          data-group-wall={Math.round(here)}
        >
          {lines.map((line) => (
            <GroupTile
              key={line.camera.id}
              camera={line.camera}
              state={group?.stateOf(line.camera.id) ?? { kind: "opening" }}
              streamId={line.streamId}
              selected={line === selected}
              onSelect={() => setChosen(line.camera.id)}
              onDrop={() => onDrop(line.camera.id)}
              join={join}
            />
          ))}
          <span className="shade pointer-events-none absolute bottom-0 left-0 rounded-tr px-2 py-0.5 text-replay tabular-nums">
            {time(here)}
          </span>
        </div>
        <PlaybackSide gaps={gaps} reads={reads} clocks={selected?.clocks ?? []} view={view} onGo={go} />
      </div>
      <PlaybackBar
        paused={group?.clock.playing !== true}
        at={here}
        rate={rate}
        rates={RATES}
        onRate={setRate}
        onToggle={() => group?.toggle()}
        onGo={go}
        onNewest={newest}
        onStep={(frames) => group?.step(frames)}
        onPrevious={previous === null ? null : () => go(previous)}
        onNext={next === null ? null : () => go(next)}
        view={view}
        onView={setView}
        onHold={may("hold.set") && selected?.camera.partner === null ? onward("/holds") : null}
        onExport={may("export") && selected?.camera.partner === null ? onward("/exports") : null}
      />
      <p className="sr-only" aria-live="polite">
        {t("playback.together", { count: cameras.length })}
      </p>
      <Timeline
        view={view}
        onView={setView}
        recorded={selected?.recorded ?? []}
        gaps={selected?.gaps ?? []}
        reads={selected?.reads ?? []}
        clocks={selected?.clocks ?? []}
        others={lines
          .filter((line) => line !== selected)
          .map((line) => ({ recorded: line.recorded ?? [], gaps: line.gaps }))}
        at={here}
        onGo={go}
        preview={preview}
      />
    </div>
  );
}
