import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { History, Layers } from "lucide-react";
import { useCallback, useRef, useState } from "react";
import { useCameras } from "../../api/hooks";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Busy, Empty } from "../../components/ui";
import { CameraTree } from "../wall/CameraTree";
import { GroupPlayback } from "./GroupPlayback";
import { TOGETHER_MAX } from "./page";
import { SinglePlayback } from "./SinglePlayback";

const route = getRouteApi("/playback");

/** Looking back at one camera, or at several under one playhead. */
export function PlaybackPage() {
  const { t } = useWords();
  const navigate = useNavigate();
  const search = route.useSearch();
  const cameras = useCameras();
  const ids = search.camera === undefined ? [] : [search.camera, ...(search.with ?? [])];
  const chosen = ids.flatMap((id) => cameras.data?.find((one) => one.id === id) ?? []);
  const [several, setSeveral] = useState(ids.length > 1);
  const head = useRef<number | null>(null);
  const onHead = useCallback((ms: number) => {
    head.current = ms;
  }, []);
  const isFull = several && chosen.length >= TOGETHER_MAX;
  const show = (next: readonly string[]): void => {
    const [first, ...others] = next;
    // Another camera joins where the playhead is.
    const at = several && ids.length > 0 && head.current !== null ? { at: Math.round(head.current) } : {};
    void navigate({
      to: "/playback",
      search: first === undefined ? {} : { camera: first, ...(others.length > 0 ? { with: others } : {}), ...at },
    });
  };
  const choose = (camera: Camera): void => {
    if (!several) show([camera.id]);
    else if (ids.includes(camera.id)) show(ids.filter((id) => id !== camera.id));
    else if (!isFull) show([...ids, camera.id]);
  };
  const first = chosen[0];

  return (
    <section aria-label={t("page.playback")} className="flex h-full min-h-0">
      <h1 className="sr-only">{t("page.playback")}</h1>
      <aside
        aria-label={t("tree.label")}
        className="flex w-[268px] shrink-0 flex-col border-r border-line bg-panel [&>*:last-child]:min-h-0 [&>*:last-child]:flex-1"
      >
        <label className="flex items-center gap-2 border-b border-line px-3 py-2">
          <input
            type="checkbox"
            checked={several}
            onChange={(event) => {
              setSeveral(event.target.checked);
              if (!event.target.checked && search.camera !== undefined) show([search.camera]);
            }}
          />
          <Layers size={15} aria-hidden />
          {t("playback.several", { most: TOGETHER_MAX })}
        </label>
        {cameras.data !== undefined ? (
          <CameraTree
            cameras={cameras.data.filter((one) => one.may.playback)}
            shown={new Set(chosen.map((one) => one.id))}
            onChoose={choose}
          />
        ) : (
          <Busy label={t("common.loading")} />
        )}
      </aside>
      {first === undefined ? (
        <div className="flex-1">
          <Empty icon={History}>{t("playback.choose")}</Empty>
        </div>
      ) : chosen.length > 1 ? (
        <GroupPlayback
          cameras={chosen}
          at={search.at ?? null}
          onHead={onHead}
          onDrop={(id) => show(ids.filter((one) => one !== id))}
        />
      ) : (
        <SinglePlayback camera={first} at={search.at ?? null} onHead={onHead} />
      )}
    </section>
  );
}
