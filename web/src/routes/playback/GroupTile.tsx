import { X } from "lucide-react";
import { useEffect, useRef } from "react";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Notice } from "../../components/ui";
import type { TileState } from "../../player/syncTile";

export function GroupTile({
  camera,
  state,
  streamId,
  selected,
  onSelect,
  onDrop,
  join,
}: {
  camera: Camera;
  state: TileState;
  /** Null: this browser plays none of its streams. */
  streamId: string | null;
  selected: boolean;
  onSelect: () => void;
  onDrop: () => void;
  join: (camera: string, streamId: string, video: HTMLVideoElement) => (() => void) | undefined;
}) {
  const { t, name, problem, time } = useWords();
  const video = useRef<HTMLVideoElement>(null);
  useEffect(
    () => (video.current === null || streamId === null ? undefined : join(camera.id, streamId, video.current)),
    [camera.id, streamId, join],
  );
  const dim = state.kind === "gap" || state.kind === "trouble";
  return (
    <div
      data-tile={state.kind}
      className={`relative min-h-0 min-w-0 bg-black ${selected ? "ring-2 ring-accent ring-inset" : ""}`}
    >
      <video
        ref={video}
        className={`absolute inset-0 size-full object-contain ${dim ? "opacity-20" : ""}`}
        muted
        playsInline
        tabIndex={-1}
        aria-label={t("playback.picture", { camera: name(camera) })}
      />
      <div className="absolute inset-x-0 top-0 flex items-center gap-1">
        <button
          type="button"
          aria-pressed={selected}
          onClick={onSelect}
          className="shade min-h-6 truncate rounded-br px-2 py-0.5 text-left font-medium"
        >
          {name(camera)}
        </button>
        <button
          type="button"
          aria-label={t("playback.drop", { camera: name(camera) })}
          onClick={onDrop}
          className="shade ml-auto grid size-6 place-items-center rounded-bl"
        >
          <X size={14} aria-hidden />
        </button>
      </div>
      <div className="pointer-events-none absolute inset-x-0 bottom-2 flex justify-center">
        {streamId === null ? <Notice tone="warn">{problem("codec_unsupported")}</Notice> : null}
        {streamId !== null && state.kind === "opening" ? <Notice>{t("playback.opening")}</Notice> : null}
        {state.kind === "gap" ? (
          <Notice tone="warn">
            {state.until === null ? t("timeline.nothing") : t("playback.gapUntil", { time: time(state.until) })}
          </Notice>
        ) : null}
        {state.kind === "trouble" ? <Notice tone="bad">{problem(state.code)}</Notice> : null}
      </div>
    </div>
  );
}
