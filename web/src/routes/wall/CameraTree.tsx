import { Building2, ChevronRight, Eye, Unplug } from "lucide-react";
import { useMemo, useState, type RefObject } from "react";
import { Button as AriaButton, Collection, Tree, TreeItem, TreeItemContent } from "react-aria-components";
import type { Camera } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { CameraState } from "../../components/CameraState";
import { byOwner, matches } from "../../domain/camera";

/** Owner → cameras, with search. Choosing a camera hands it to the page. */
export function CameraTree({
  cameras,
  shown,
  onChoose,
  searchRef,
}: {
  cameras: readonly Camera[];
  /** Ids that are on screen now. */
  shown: ReadonlySet<string>;
  onChoose: (camera: Camera) => void;
  searchRef?: RefObject<HTMLInputElement | null>;
}) {
  const { t, name, language } = useWords();
  const session = useSession();
  const [query, setQuery] = useState("");
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const groups = useMemo(
    () =>
      byOwner(
        cameras.filter((camera) => camera.state !== "retired" && matches(camera, query)),
        session.org.id,
        language,
      ),
    [cameras, query, session.org.id, language],
  );
  const byId = useMemo(() => new Map(cameras.map((camera) => [camera.id, camera])), [cameras]);
  const expanded = groups.map((group) => group.owner.id).filter((id) => query !== "" || !closed.has(id));
  const found = groups.reduce((sum, group) => sum + group.cameras.length, 0);
  const choose = (id: string): void => {
    const camera = byId.get(id);
    if (camera !== undefined) onChoose(camera);
  };
  const first = groups[0]?.cameras[0];
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="p-2">
        <input
          ref={searchRef}
          type="search"
          className="field"
          placeholder={t("tree.search")}
          aria-label={t("tree.search")}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && first !== undefined) {
              choose(first.id);
              setQuery("");
              event.currentTarget.blur();
            } else if (event.key === "Escape") {
              setQuery("");
              event.currentTarget.blur();
            }
          }}
        />
        <span role="status" className="sr-only">
          {query === "" ? "" : t("tree.found", { count: found })}
        </span>
      </div>
      <Tree
        aria-label={t("tree.label")}
        selectionMode="none"
        className="min-h-0 flex-1 overflow-auto outline-none"
        expandedKeys={expanded}
        onExpandedChange={(open) =>
          setClosed(new Set(groups.map((group) => group.owner.id).filter((id) => !new Set(open).has(id))))
        }
        onAction={(key) => choose(String(key))}
        renderEmptyState={() => <p className="p-3 text-muted">{t("tree.nothing")}</p>}
      >
        {groups.map((group) => (
          <TreeItem key={group.owner.id} id={group.owner.id} textValue={name(group.owner)} className="outline-none">
            <TreeItemContent>
              <div className="flex min-h-8 items-center gap-1.5 border-t border-line px-1.5 text-muted in-focus-visible:bg-raised">
                <AriaButton slot="chevron" className="grid size-6 place-items-center" excludeFromTabOrder>
                  <ChevronRight
                    size={14}
                    aria-hidden
                    className={expanded.includes(group.owner.id) ? "rotate-90" : undefined}
                  />
                </AriaButton>
                {group.cameras.some((camera) => camera.partner?.enabled === false) ? (
                  <Unplug size={14} aria-hidden className="shrink-0 text-warn" />
                ) : (
                  <Building2 size={14} aria-hidden className="shrink-0" />
                )}
                <span className="truncate font-medium">{name(group.owner)}</span>
                <span className="ml-auto pr-1 text-xs tabular-nums">{group.cameras.length}</span>
              </div>
              <PartnerWords cameras={group.cameras} />
            </TreeItemContent>
            <Collection>
              {group.cameras.map((camera) => (
                <TreeItem
                  key={camera.id}
                  id={camera.id}
                  textValue={`${camera.call_up ?? ""} ${name(camera)}`}
                  className="cursor-pointer outline-none hover:bg-raised data-[focus-visible]:bg-raised data-[focus-visible]:shadow-[inset_0_0_0_2px_var(--color-accent)]"
                >
                  <TreeItemContent>
                    <div
                      className={`flex flex-col border-l-2 py-1 pr-2 pl-3 ${shown.has(camera.id) ? "border-accent" : "border-transparent"}`}
                    >
                      <span className="flex items-baseline gap-2">
                        <span className="w-8 shrink-0 text-right text-xs font-semibold text-muted tabular-nums">
                          {camera.call_up ?? "–"}
                        </span>
                        <span className="truncate">{name(camera)}</span>
                      </span>
                      <span className="flex gap-2 overflow-hidden pl-10 text-xs">
                        <CameraState camera={camera} short />
                        {shown.has(camera.id) ? (
                          <span className="ml-auto flex items-center text-accent" title={t("tree.onWall")}>
                            <Eye size={13} aria-hidden />
                            <span className="sr-only">{t("tree.onWall")}</span>
                          </span>
                        ) : null}
                      </span>
                    </div>
                  </TreeItemContent>
                </TreeItem>
              ))}
            </Collection>
          </TreeItem>
        ))}
      </Tree>
    </div>
  );
}

function PartnerWords({ cameras }: { cameras: readonly Camera[] }) {
  const { t } = useWords();
  const partner = cameras.find((camera) => camera.partner !== null)?.partner;
  if (partner === undefined || partner === null) return null;
  return (
    <p className={`px-3 pb-1.5 text-xs ${partner.enabled ? "text-muted" : "text-warn"}`}>
      {partner.enabled ? t("partner.of", { partner: partner.name }) : t("partner.off", { partner: partner.name })}
    </p>
  );
}
