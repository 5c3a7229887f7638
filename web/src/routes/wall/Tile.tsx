import { CirclePlay, History, Maximize2, Minimize2, X } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import type { Camera } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { chooseStream } from "../../domain/camera";
import { span } from "../../domain/time";
import { canPlay, codecName } from "../../player/codec";
import { LiveTile, type TilePhase } from "../../player/liveTile";
import { InstantReplay } from "./InstantReplay";
import { openLive } from "./openLive";
import { register } from "./testHook";
import { TileMessage } from "./TileMessage";

export interface TileActions {
  onSelect(): void;
  onClear(): void;
  onMaximise(): void;
  onReplay(on: boolean): void;
}

interface TileProps extends TileActions {
  camera: Camera;
  position: number;
  selected: boolean;
  large: boolean;
  maximised: boolean;
  hidden: boolean;
  replaying: boolean;
}

export function Tile(props: TileProps) {
  const { camera, position, selected, large, maximised, hidden, replaying } = props;
  const { t, name } = useWords();
  // A stream ends with the session that opened it: after logging in again the tile asks for a new one by itself.
  const login = useSession().csrf_token;
  const [phase, setPhase] = useState<TilePhase>({ phase: "connecting" });
  const [attempt, setAttempt] = useState(0);
  const age = useRef<HTMLSpanElement>(null);
  // What a stream turned out to be although the camera list did not say so: its id and codec.
  const [learned, setLearned] = useState<Readonly<Record<string, string>>>({});
  const { stream, refusedCodec } = chooseStream(
    camera.streams,
    large,
    (one) => learned[one.id] === undefined && canPlay(one.codec),
  );
  const refused = refusedCodec === "" ? (Object.values(learned)[0] ?? "") : refusedCodec;
  const blocked = blockedWhy(camera, stream === null, refused);
  const streamId = stream?.id ?? null;
  const onPhase = useCallback(
    (next: TilePhase) => {
      if (next.phase === "codec" && streamId !== null) {
        setLearned((before) => ({ ...before, [streamId]: next.codec }));
      }
      setPhase(next);
    },
    [streamId],
  );
  const fresh = phase.phase === "playing" ? phase.freshness : "none";
  return (
    <section
      className={`tile group ${hidden ? "hidden" : ""}`}
      aria-label={t("wall.tile", { position: position + 1, camera: name(camera) })}
      data-selected={selected}
      data-fresh={blocked === null ? fresh : "none"}
      data-replay={replaying}
      data-phase={blocked ?? phase.phase}
      onPointerDown={props.onSelect}
      onDoubleClick={props.onMaximise}
    >
      {stream !== null && blocked === null ? (
        <LiveVideo
          key={`${stream.id}/${attempt}/${login}`}
          camera={camera}
          streamId={stream.id}
          position={position}
          ageElement={age}
          onPhase={onPhase}
        />
      ) : null}
      {replaying ? <InstantReplay camera={camera} onEnd={() => props.onReplay(false)} /> : null}
      <div className="absolute inset-x-0 top-0 flex h-7 items-center gap-2 bg-panel px-2">
        {camera.call_up !== null ? (
          <span className="rounded-sm bg-line px-1 text-xs font-semibold tabular-nums">{camera.call_up}</span>
        ) : null}
        <span className="truncate font-medium">{name(camera)}</span>
        {camera.relation !== "own" ? <span className="truncate text-xs text-muted">{camera.owner.code}</span> : null}
        <TileButtons {...props} />
      </div>
      {blocked === null ? (
        <div className="absolute bottom-1.5 left-1.5 flex items-center gap-1.5" hidden={replaying}>
          <span className="shade flex items-center gap-1.5 rounded-sm px-1.5 text-xs tabular-nums" data-age={fresh}>
            <span
              aria-hidden
              className={`size-2 rounded-full ${{ live: "bg-ok", late: "bg-warn", frozen: "bg-bad", none: "bg-edge" }[fresh]}`}
            />
            <span className={fresh === "late" ? "text-warn" : fresh === "frozen" ? "text-bad" : ""}>
              {fresh === "none" ? t("wall.noPicture") : t(`wall.fresh.${fresh}`)}
            </span>
            <span ref={age} className="min-w-9" />
          </span>
          {refused !== null && stream !== null ? (
            <span
              className="shade truncate rounded-sm px-1.5 text-xs text-warn"
              title={t("wall.insteadText", { codec: codecName(refused) })}
            >
              {stream.use === "sub" ? t("wall.subInstead") : t("wall.mainInstead")}
            </span>
          ) : null}
        </div>
      ) : null}
      <TileMessage
        camera={camera}
        blocked={blocked}
        codec={refused}
        phase={phase}
        hidden={replaying}
        onRetry={() => {
          setPhase({ phase: "connecting" });
          setAttempt((before) => before + 1);
        }}
      />
      {maximised ? <span className="sr-only">{t("wall.maximised")}</span> : null}
    </section>
  );
}

/** Why no stream is even asked for; null when one is. */
function blockedWhy(camera: Camera, noStream: boolean, refusedCodec: string | null): string | null {
  if (camera.partner !== null && !camera.partner.enabled) return "partner_off";
  if (camera.state !== "live") return "not_live";
  if (!camera.may.live) return "not_allowed";
  if (!noStream) return null;
  return refusedCodec === null ? "no_stream" : "codec";
}

function TileButtons({ camera, maximised, replaying, onClear, onMaximise, onReplay }: TileProps) {
  const { t } = useWords();
  const look =
    "grid size-6 place-items-center rounded text-muted hover:bg-line hover:text-text focus-visible:opacity-100 opacity-70 group-hover:opacity-100";
  return (
    <span className="ml-auto flex" onDoubleClick={(event) => event.stopPropagation()}>
      {camera.may.playback && camera.state === "live" ? (
        <button
          type="button"
          className={look}
          onClick={() => onReplay(!replaying)}
          title={replaying ? t("wall.toLive") : t("wall.replay")}
        >
          {replaying ? <CirclePlay size={14} aria-hidden /> : <History size={14} aria-hidden />}
          <span className="sr-only">{replaying ? t("wall.toLive") : t("wall.replay")}</span>
        </button>
      ) : null}
      <button
        type="button"
        className={look}
        onClick={onMaximise}
        title={maximised ? t("wall.restore") : t("wall.maximise")}
      >
        {maximised ? <Minimize2 size={14} aria-hidden /> : <Maximize2 size={14} aria-hidden />}
        <span className="sr-only">{maximised ? t("wall.restore") : t("wall.maximise")}</span>
      </button>
      <button type="button" className={look} onClick={onClear} title={t("wall.clear")}>
        <X size={14} aria-hidden />
        <span className="sr-only">{t("wall.clear")}</span>
      </button>
    </span>
  );
}

/** Thin wrapper: gives the framework-free tile its element and takes its words. */
function LiveVideo({
  camera,
  streamId,
  position,
  ageElement,
  onPhase,
}: {
  camera: Camera;
  streamId: string;
  position: number;
  ageElement: React.RefObject<HTMLSpanElement | null>;
  onPhase: (phase: TilePhase) => void;
}) {
  const video = useRef<HTMLVideoElement>(null);
  const session = useSession();
  const latest = useRef({ camera, session });
  useEffect(() => {
    latest.current = { camera, session };
  });
  useEffect(() => {
    if (video.current === null) return undefined;
    const open = () => {
      const now = latest.current;
      const stream = now.camera.streams.find((one) => one.id === streamId);
      if (stream === undefined) return Promise.resolve({ kind: "refused", code: "not_found" } as const);
      return openLive(now.camera, stream, now.session);
    };
    const tile = new LiveTile(camera.code, video.current, open, {
      onPhase,
      onAge(ageUs) {
        if (ageElement.current !== null)
          ageElement.current.textContent = ageUs === null ? "" : span(Math.max(0, ageUs / 1000));
      },
    });
    const forget = register(position, tile);
    return () => {
      forget();
      tile.close();
    };
  }, [camera.code, streamId, position, onPhase, ageElement]);
  return <video ref={video} muted playsInline tabIndex={-1} aria-hidden />;
}
