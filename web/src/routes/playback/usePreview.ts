import { useCallback, useEffect, useRef } from "react";
import { media } from "../../api/calls";
import type { Camera } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { withPurpose } from "../../app/why";
import { fromWire, HOUR, MINUTE, toWire } from "../../domain/time";
import type { View } from "../../domain/timeline";
import { PreviewPictures } from "../../player/previewPictures";

/** Asks for the picture at an instant; `done` is called when there is one. */
export type Preview = (ms: number, done: (picture: ImageBitmap, at: number) => void) => void;

interface Track {
  key: string;
  from: number;
  to: number;
  id: string | null;
  pictures: PreviewPictures | null;
}

/** How long a preview is for a view: the shorter, the closer its pictures lie (docs/API-DESIGN.md). */
function lengthFor(view: View): number {
  const width = view.to - view.from;
  if (width <= 30 * MINUTE) return 15 * MINUTE;
  return width <= 4 * HOUR ? 2 * HOUR : 24 * HOUR;
}

/**
 * Pictures of a stream for scrubbing. A preview is opened with the first wish, not before: it is a use of its own in the log.
 * `streamId` is null until the footage itself plays, so that its purpose is known and no question comes up under the pointer.
 */
export function usePreview(camera: Camera | null, streamId: string | null, view: View): Preview | null {
  const session = useSession();
  const track = useRef<Track | null>(null);
  const latest = useRef({ camera, session, view });
  useEffect(() => {
    latest.current = { camera, session, view };
  });
  const release = useCallback(() => {
    const old = track.current;
    track.current = null;
    old?.pictures?.close();
    if (old !== null && old.id !== null) void media.closePlayback(old.id);
  }, []);
  const cameraId = camera?.id ?? null;
  useEffect(() => release, [cameraId, release]);

  const want = useCallback<Preview>(
    (ms, done) => {
      const now = latest.current;
      if (streamId === null || now.camera === null) return;
      const length = lengthFor(now.view);
      const key = `${streamId}/${length}`;
      const known = track.current;
      if (known !== null && known.key === key && ms >= known.from && ms < known.to) {
        known.pictures?.want(ms, done);
        return;
      }
      release();
      const to = Math.min(ms + length / 2, Date.now());
      const mine: Track = { key, from: to - length, to, id: null, pictures: null };
      track.current = mine;
      const needs = now.camera.needs?.playback ?? [];
      const open = async (): Promise<void> => {
        const answer = await withPurpose(now.session, needs, (purpose) =>
          media.previewTicket(streamId, toWire(Math.ceil(mine.from)), toWire(Math.floor(mine.to)), purpose),
        );
        if (!answer.ok) return;
        const id = answer.value.playback_id;
        const list = await media.previewPictures(id);
        if (track.current !== mine || !list.ok) {
          void media.closePlayback(id);
          return;
        }
        const from = fromWire(list.value.from);
        mine.id = id;
        mine.pictures = new PreviewPictures({
          at: list.value.at_ms.map((late) => from + late),
          init: list.value.init,
          mime: answer.value.mime,
          load: (name) => media.playbackPart(id, name),
        });
        mine.pictures.want(ms, done);
      };
      void open();
    },
    [streamId, release],
  );
  return streamId === null || !PreviewPictures.possible ? null : want;
}
