import { Plus, RotateCw, SearchCheck } from "lucide-react";
import { useMemo, useState } from "react";
import { useGatedSearches } from "../../api/gatedSearches";
import { useCameras } from "../../api/hooks";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { OrderSearch } from "./OrderSearch";
import { SearchCard } from "./SearchCard";

/** Searches of police reads behind the magistrate's gate: what was ordered, who agreed, and what opens. */
export function SearchesPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [ordering, setOrdering] = useState(false);
  const list = useGatedSearches();
  const cameras = useCameras(may("camera.list"));
  const byId = useMemo(() => new Map((cameras.data ?? []).map((one) => [one.id, one])), [cameras.data]);
  const waiting = (list.data ?? []).filter((one) => one.may_settle).length;
  return (
    <Page
      title={t("page.searches")}
      tools={
        <>
          <Button isPending={list.isFetching} onPress={() => void list.refetch()}>
            <RotateCw size={16} aria-hidden />
            {t("searches.reload")}
          </Button>
          {may("reads.search") ? (
            <Button look="primary" onPress={() => setOrdering(true)}>
              <Plus size={16} aria-hidden />
              {t("searches.order")}
            </Button>
          ) : null}
        </>
      }
    >
      {ordering ? <OrderSearch cameras={cameras.data ?? []} onClose={() => setOrdering(false)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("searches.explain")}</p>
      {waiting > 0 ? (
        <div className="px-4 pt-3">
          <Notice tone="warn">{t("searches.waiting", { count: waiting })}</Notice>
        </div>
      ) : null}
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={SearchCheck}>{t("searches.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((one) => (
          <SearchCard key={one.id} one={one} cameras={byId} />
        ))}
      </ul>
    </Page>
  );
}
