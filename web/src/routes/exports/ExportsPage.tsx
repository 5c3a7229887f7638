import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { PackageCheck, Plus } from "lucide-react";
import { useState } from "react";
import { useExports } from "../../api/hooks";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { ExportCard } from "./ExportCard";
import { OrderExport } from "./OrderExport";

const route = getRouteApi("/exports");

export function ExportsPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const navigate = useNavigate();
  const search = route.useSearch();
  const [ordering, setOrdering] = useState(false);
  const list = useExports();
  const open = may("export") && (ordering || search.camera !== undefined);
  const close = (): void => {
    setOrdering(false);
    void navigate({ to: "/exports", search: {}, replace: true });
  };
  return (
    <Page
      title={t("page.exports")}
      tools={
        may("export") ? (
          <Button look="primary" onPress={() => setOrdering(true)}>
            <Plus size={16} aria-hidden />
            {t("exports.order")}
          </Button>
        ) : null
      }
    >
      {open ? <OrderExport wish={search} onClose={close} /> : null}
      <p className="px-4 pt-3 text-muted">{t("exports.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={PackageCheck}>{t("exports.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((one) => (
          <ExportCard key={one.id} one={one} />
        ))}
      </ul>
    </Page>
  );
}
