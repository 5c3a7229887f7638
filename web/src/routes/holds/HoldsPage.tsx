import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Plus, Snowflake } from "lucide-react";
import { useState } from "react";
import { useHolds } from "../../api/hooks";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { AddHold } from "./AddHold";
import { HoldCard } from "./HoldCard";

const route = getRouteApi("/holds");

export function HoldsPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const navigate = useNavigate();
  const search = route.useSearch();
  const [released, setReleased] = useState(false);
  const [adding, setAdding] = useState(false);
  const list = useHolds(released);
  const open = may("hold.set") && (adding || search.camera !== undefined);
  const close = (): void => {
    setAdding(false);
    void navigate({ to: "/holds", search: {}, replace: true });
  };
  return (
    <Page
      title={t("page.holds")}
      tools={
        <>
          <label className="flex items-center gap-1.5 text-muted">
            <input type="checkbox" checked={released} onChange={(event) => setReleased(event.target.checked)} />
            {t("holds.all")}
          </label>
          {may("hold.set") ? (
            <Button look="primary" onPress={() => setAdding(true)}>
              <Plus size={16} aria-hidden />
              {t("holds.add")}
            </Button>
          ) : null}
        </>
      }
    >
      {open ? <AddHold wish={search} onClose={close} /> : null}
      <p className="px-4 pt-3 text-muted">{t("holds.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? (
        <Empty icon={Snowflake}>{released ? t("holds.none") : t("holds.noneOpen")}</Empty>
      ) : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((hold) => (
          <HoldCard key={hold.id} hold={hold} />
        ))}
      </ul>
    </Page>
  );
}
