import { LockKeyholeOpen } from "lucide-react";
import { useState } from "react";
import { gatedSearches } from "../../api/gatedSearches";
import type { Camera, GatedSearch, Page as ListPage, Read } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Button, Notice } from "../../components/ui";
import { ReadTable } from "../reads/ReadTable";
import { useSearchWords } from "./words";

/** Opens what an order names, page by page; nothing is asked for before somebody presses the button, since each page is a use in the log. */
export function OpenSearch({ one, cameras }: { one: GatedSearch; cameras: ReadonlyMap<string, Camera> }) {
  const { t, problem } = useWords();
  const { act, busy, error } = useAct([], (told) =>
    told.code === "gate_away" ? t("searches.gateAway") : problem(told),
  );
  const [pages, setPages] = useState<readonly ListPage<Read>[] | null>(null);
  const { what, where } = useSearchWords()(one);
  const last = pages?.at(-1) ?? null;
  const count = (pages ?? []).reduce((sum, page) => sum + page.items.length, 0);
  const open = (before: readonly ListPage<Read>[], cursor: string | null): void =>
    void act(
      () => gatedSearches.open(one.id, cursor),
      (page) => setPages([...before, page]),
    );
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <div className="flex flex-wrap items-center justify-end gap-2">
        <p className="mr-auto text-xs text-muted">{t("searches.openHint")}</p>
        {pages !== null ? <Button onPress={() => setPages(null)}>{t("common.close")}</Button> : null}
        <Button look="primary" isPending={busy} onPress={() => open([], null)}>
          <LockKeyholeOpen size={16} aria-hidden />
          {pages === null ? t("searches.open") : t("searches.openAgain")}
        </Button>
      </div>
      {last !== null && count > 0 ? (
        <Notice>
          {last.next_cursor === null ? t("searches.found", { count }) : t("searches.foundSoFar", { count })}
        </Notice>
      ) : null}
      {last !== null && count === 0 ? (
        <Notice>{last.next_cursor === null ? t("searches.nothing") : t("searches.nothingSoFar")}</Notice>
      ) : null}
      <div className="overflow-x-auto">
        <ReadTable caption={`${what}, ${where}`} pages={pages ?? []} cameras={cameras} />
      </div>
      {pages !== null && last !== null && last.next_cursor !== null ? (
        <div className="flex justify-center">
          <Button isPending={busy} onPress={() => open(pages, last.next_cursor)}>
            {t("common.more")}
          </Button>
        </div>
      ) : null}
    </div>
  );
}
