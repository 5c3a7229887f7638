import { Grid2x2, Grid3x3, LayoutGrid, Maximize, PanelLeft } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useCameras } from "../../api/hooks";
import type { Camera } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useKeys } from "../../app/useKeys";
import { useStore } from "../../app/useStore";
import { useWords } from "../../app/useWords";
import { Busy, Button, Key, Notice } from "../../components/ui";
import { clear, LAYOUTS, move, place, select, setLayout, type Arrow, type Layout } from "../../domain/wall";
import { CameraTree } from "./CameraTree";
import { Tile } from "./Tile";
import { startWall, wall } from "./wallState";

const ICONS = { 1: Maximize, 4: Grid2x2, 9: Grid3x3, 16: LayoutGrid } as const;
const COLUMNS = { 1: "grid-cols-1", 4: "grid-cols-2", 9: "grid-cols-3", 16: "grid-cols-4" } as const;
const ROWS = { 1: "grid-rows-1", 4: "grid-rows-2", 9: "grid-rows-3", 16: "grid-rows-4" } as const;
const ARROWS: Record<string, Arrow> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
/** A half-typed call-up number is forgotten after this. */
const CALL_MS = 3000;

export function WallPage() {
  const { t, problem } = useWords();
  const session = useSession();
  startWall(session.user.id);
  const state = useStore(wall);
  const cameras = useCameras();
  const search = useRef<HTMLInputElement>(null);
  const [treeOpen, setTreeOpen] = useState(true);
  const [replays, setReplays] = useState<ReadonlySet<number>>(new Set());
  const byId = useMemo(() => new Map((cameras.data ?? []).map((camera) => [camera.id, camera])), [cameras.data]);
  const shown = useMemo(
    () => new Set(state.tiles.slice(0, state.layout).filter((id) => id !== null)),
    [state.tiles, state.layout],
  );
  const replay = (position: number, on: boolean): void =>
    setReplays((before) => {
      const next = new Set(before);
      if (on) next.add(position);
      else next.delete(position);
      return next;
    });
  const choose = (camera: Camera): void => wall.set((now) => place(now, camera.id, true));
  const { typed, trouble } = useWallKeys({
    cameras: cameras.data ?? [],
    choose,
    replay: (on) => {
      const id = state.tiles[state.selected];
      if (typeof id === "string" && byId.get(id)?.may.playback === true) replay(state.selected, on);
    },
    focusSearch: () => {
      setTreeOpen(true);
      requestAnimationFrame(() => search.current?.focus());
    },
  });

  return (
    <section aria-label={t("page.wall")} className="flex h-full min-h-0">
      <h1 className="sr-only">{t("page.wall")}</h1>
      {treeOpen ? (
        <aside aria-label={t("tree.label")} className="w-[268px] shrink-0 border-r border-line bg-panel">
          {cameras.data !== undefined ? (
            <CameraTree cameras={cameras.data} shown={shown} onChoose={choose} searchRef={search} />
          ) : cameras.isError ? (
            <div className="p-3">
              <Notice tone="bad">{problem(cameras.error)}</Notice>
            </div>
          ) : (
            <Busy label={t("common.loading")} />
          )}
        </aside>
      ) : null}
      <div className="flex min-w-0 flex-1 flex-col">
        <div className="flex min-h-9 items-center gap-1 border-b border-line px-2">
          <Button
            look="quiet"
            onPress={() => setTreeOpen(!treeOpen)}
            aria-label={t("wall.toggleTree")}
            className="!px-1.5"
          >
            <PanelLeft size={16} aria-hidden />
          </Button>
          <div role="group" aria-label={t("wall.layout")} className="flex gap-0.5">
            {LAYOUTS.map((layout) => (
              <LayoutButton key={layout} layout={layout} pressed={state.layout === layout} />
            ))}
          </div>
          <div role="status" className="ml-3 flex items-center gap-2">
            {typed !== "" ? (
              <span className="text-[15px] font-semibold text-accent tabular-nums">
                {t("wall.calling", { number: typed })} <Key>Enter</Key>
              </span>
            ) : trouble !== null ? (
              <span className="text-warn">{t("wall.noSuchNumber", { number: trouble })}</span>
            ) : (
              <span className="text-xs text-muted">{t("wall.hint")}</span>
            )}
          </div>
        </div>
        <div
          className={`grid min-h-0 flex-1 gap-1 p-1 ${state.maximised ? "grid-cols-1 grid-rows-1" : `${COLUMNS[state.layout]} ${ROWS[state.layout]}`}`}
        >
          {state.tiles.slice(0, state.layout).map((id, position) => {
            const camera = id === null ? undefined : byId.get(id);
            const isMax = state.maximised && state.selected === position;
            const hidden = state.maximised && !isMax;
            if (camera === undefined) {
              return (
                <EmptyTile
                  key={position}
                  position={position}
                  selected={state.selected === position}
                  hidden={hidden}
                  gone={id !== null && cameras.data !== undefined}
                />
              );
            }
            return (
              <Tile
                key={`${position}/${camera.id}`}
                camera={camera}
                position={position}
                selected={state.selected === position}
                large={state.layout === 1 || isMax}
                maximised={isMax}
                hidden={hidden}
                replaying={replays.has(position)}
                onSelect={() => wall.set((now) => (now.maximised ? now : select(now, position)))}
                onClear={() => wall.set((now) => clear(now, position))}
                onMaximise={() =>
                  wall.set((now) => ({ ...select(now, position), maximised: !now.maximised && now.layout > 1 }))
                }
                onReplay={(on) => replay(position, on)}
              />
            );
          })}
        </div>
      </div>
    </section>
  );
}

function LayoutButton({ layout, pressed }: { layout: Layout; pressed: boolean }) {
  const { t } = useWords();
  const Icon = ICONS[layout];
  return (
    <button
      type="button"
      aria-pressed={pressed}
      onClick={() => wall.set((now) => setLayout(now, layout))}
      title={t("wall.layoutOf", { count: layout })}
      className={`flex h-7 items-center gap-1 rounded px-2 tabular-nums ${pressed ? "bg-accent-deep text-text" : "text-muted hover:bg-raised hover:text-text"}`}
    >
      <Icon size={15} aria-hidden />
      <span aria-hidden>{layout}</span>
      <span className="sr-only">{t("wall.layoutOf", { count: layout })}</span>
    </button>
  );
}

function EmptyTile({
  position,
  selected,
  hidden,
  gone,
}: {
  position: number;
  selected: boolean;
  hidden: boolean;
  gone: boolean;
}) {
  const { t } = useWords();
  return (
    <button
      type="button"
      className={`tile grid place-items-center text-muted ${hidden ? "hidden" : ""}`}
      data-selected={selected}
      onClick={() => wall.set((now) => select(now, position))}
    >
      <span className="flex flex-col items-center gap-1">
        <span className="text-lg font-semibold tabular-nums">{position + 1}</span>
        <span className="text-xs">{gone ? t("end.camera_gone") : t("wall.empty")}</span>
      </span>
    </button>
  );
}

function useWallKeys(act: {
  cameras: readonly Camera[];
  choose: (camera: Camera) => void;
  replay: (on: boolean) => void;
  focusSearch: () => void;
}): { typed: string; trouble: string | null } {
  const [typed, setTyped] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    if (typed === "") return undefined;
    const timer = setTimeout(() => setTyped(""), CALL_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const call = (): void => {
    const camera = act.cameras.find((one) => one.call_up === Number(typed) && one.state !== "retired");
    setTrouble(camera === undefined ? typed : null);
    setTyped("");
    if (camera !== undefined) act.choose(camera);
  };
  useKeys((key, event) => {
    const inTree = event.target instanceof Element && event.target.closest("[role=treegrid],[role=tree]") !== null;
    const onButton = event.target instanceof Element && event.target.closest("button,a") !== null;
    const layout = event.altKey ? LAYOUTS[Number(key) - 1] : undefined;
    if (layout !== undefined) wall.set((now) => setLayout(now, layout));
    else if (event.altKey) return false;
    else if (/^\d$/.test(key)) setTyped((before) => (before + key).slice(-5));
    else if (key === "Enter" && typed !== "") call();
    else if (key === "/") act.focusSearch();
    else if (key === "Escape") {
      setTyped("");
      wall.set((now) => ({ ...now, maximised: false }));
    } else if (inTree) return false;
    else if (ARROWS[key] !== undefined) {
      const arrow = ARROWS[key];
      wall.set((now) => move(now, arrow));
    } else if (key === "Enter" && !onButton)
      wall.set((now) => ({ ...now, maximised: !now.maximised && now.layout > 1 }));
    else if (key === "r" || key === "R") act.replay(true);
    else if (key === "l" || key === "L") act.replay(false);
    else if (key === "Delete") wall.set((now) => clear(now, now.selected));
    else return false;
    return true;
  });
  return { typed, trouble };
}
