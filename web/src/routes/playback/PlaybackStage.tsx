import type { RefObject } from "react";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Button, Notice } from "../../components/ui";
import { codecName } from "../../player/codec";
import type { usePlayback } from "./usePlayback";

export function PlaybackStage({
  camera,
  video,
  playback,
  refusedCodec,
  blocked,
  onGo,
}: {
  camera: Camera;
  video: RefObject<HTMLVideoElement | null>;
  playback: ReturnType<typeof usePlayback>;
  /** Codec of the main stream, when this browser does not play it. */
  refusedCodec: string | null;
  /** No other stream is recorded: nothing can be shown here. */
  blocked: boolean;
  onGo: (ms: number) => void;
}) {
  const { t, name, problem, time } = useWords();
  const { state, events } = playback;
  return (
    <div className="relative min-w-0 flex-1 bg-black">
      <video
        ref={video}
        src={state.kind === "playing" ? state.ticket.url : undefined}
        className="absolute inset-0 size-full object-contain"
        muted
        autoPlay
        playsInline
        tabIndex={-1}
        aria-label={t("playback.picture", { camera: name(camera) })}
        onLoadedMetadata={events.onLoadedMetadata}
        onTimeUpdate={events.onTimeUpdate}
        onEnded={events.onEnded}
        onError={events.onError}
      />
      <div className="shade absolute top-0 left-0 flex items-center gap-3 rounded-br px-3 py-1">
        <span className="font-medium">{name(camera)}</span>
        {refusedCodec !== null && !blocked ? (
          <span className="text-xs text-warn">{t("playback.subInstead", { codec: codecName(refusedCodec) })}</span>
        ) : null}
        {playback.at !== null ? <span className="text-replay tabular-nums">{time(playback.at)}</span> : null}
      </div>
      <div className="absolute inset-x-0 bottom-3 flex justify-center">
        {blocked ? <Notice tone="warn">{problem("codec_unsupported")}</Notice> : null}
        {!blocked && state.kind === "opening" ? <Notice>{t("playback.opening")}</Notice> : null}
        {state.kind === "nothing" ? (
          <Notice tone="warn">{t("playback.nothing", { time: time(state.at) })}</Notice>
        ) : null}
        {state.kind === "caught_up" ? (
          <Notice>
            <p>{t("playback.caughtUp", { time: time(state.at) })}</p>
            <Button className="mt-2" onPress={() => onGo(state.at)}>
              {t("playback.goOn")}
            </Button>
          </Notice>
        ) : null}
        {state.kind === "trouble" ? (
          <Notice tone="bad">
            <p>{problem(state.code)}</p>
            <Button className="mt-2" onPress={() => onGo(state.at)}>
              {t("common.again")}
            </Button>
          </Notice>
        ) : null}
      </div>
    </div>
  );
}
