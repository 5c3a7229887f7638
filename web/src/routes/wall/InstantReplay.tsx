import { useCallback, useEffect, useRef, useState } from "react";
import { media } from "../../api/calls";
import type { Camera } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { withPurpose } from "../../app/why";
import { pickStream } from "../../domain/camera";
import { fromWire, SECOND, toWire } from "../../domain/time";
import { canPlay } from "../../player/codec";

const BACK = 15 * SECOND;

/** The last fifteen seconds of one tile; the others stay live. It ends by itself. */
export function InstantReplay({ camera, onEnd }: { camera: Camera; onEnd: () => void }) {
  const { t, problem, time } = useWords();
  const session = useSession();
  // Kept after it has left the page: it must let go of its source then.
  const letGo = useRef<() => void>(() => undefined);
  const keep = useCallback((video: HTMLVideoElement | null): void => {
    if (video === null) return;
    letGo.current = (): void => {
      video.removeAttribute("src");
      video.load();
    };
  }, []);
  const [source, setSource] = useState<{ id: string; url: string; starts: number } | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const latest = useRef({ session, camera, problem });
  useEffect(() => {
    latest.current = { session, camera, problem };
  });

  useEffect(() => {
    let gone = false;
    let open: string | null = null;
    const ask = async (): Promise<void> => {
      const now = latest.current;
      const stream = pickStream(now.camera.streams, true);
      if (stream === null) return;
      if (!canPlay(stream.codec)) {
        setTrouble(now.problem("codec_unsupported"));
        return;
      }
      const to = Date.now();
      const answer = await withPurpose(now.session, now.camera.needs?.playback ?? [], (purpose) =>
        media.playbackTicket(stream.id, toWire(to - BACK), toWire(to), purpose),
      );
      if (!answer.ok) {
        if (!gone) setTrouble(now.problem(answer.problem));
        return;
      }
      if (document.createElement("video").canPlayType(answer.value.mime) === "") {
        void media.closePlayback(answer.value.playback_id);
        setTrouble(now.problem("codec_unsupported"));
        return;
      }
      open = answer.value.playback_id;
      if (gone) void media.closePlayback(open);
      else setSource({ id: open, url: answer.value.url, starts: fromWire(answer.value.starts_at) });
    };
    void ask();
    return () => {
      gone = true;
      letGo.current();
      if (open !== null) void media.closePlayback(open);
    };
  }, []);

  return (
    <div className="absolute inset-0 top-7 bg-black">
      {source !== null ? (
        <video
          ref={keep}
          src={source.url}
          className="size-full object-contain"
          muted
          autoPlay
          playsInline
          tabIndex={-1}
          aria-hidden
          onTimeUpdate={(event) => setAt(source.starts + event.currentTarget.currentTime * 1000)}
          onEnded={onEnd}
          onError={() => setTrouble(t("playback.failed"))}
        />
      ) : null}
      <div
        role="status"
        className="absolute right-2 bottom-2 left-2 mr-auto w-fit rounded-sm bg-replay px-2 font-semibold text-black"
      >
        {trouble ?? (at === null ? t("wall.replayOpening") : t("wall.replayAt", { time: time(at) }))}
      </div>
    </div>
  );
}
