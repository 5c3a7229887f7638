import { Gavel, Plus } from "lucide-react";
import { useState } from "react";
import { useGated } from "../../api/hooks";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { AddGated } from "./AddGated";
import { GatedCard } from "./GatedCard";

/** Decisions to keep footage or police reads past their first term: who proposed, who agreed, what moved behind the magistrate's gate, what waits. */
export function GatedPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [adding, setAdding] = useState(false);
  const list = useGated();
  const waiting = (list.data ?? []).filter((one) => one.state === "proposed").length;
  return (
    <Page
      title={t("page.gated")}
      tools={
        may("gated.propose") ? (
          <Button look="primary" onPress={() => setAdding(true)}>
            <Plus size={16} aria-hidden />
            {t("gated.add")}
          </Button>
        ) : null
      }
    >
      {adding ? <AddGated onClose={() => setAdding(false)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("gated.explain")}</p>
      {waiting > 0 ? (
        <div className="px-4 pt-3">
          <Notice tone="warn">{t("gated.waiting", { count: waiting })}</Notice>
        </div>
      ) : null}
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={Gavel}>{t("gated.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((one) => (
          <GatedCard key={one.id} one={one} />
        ))}
      </ul>
    </Page>
  );
}
