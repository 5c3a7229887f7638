import { BellRing } from "lucide-react";
import { useState } from "react";
import { useCameras } from "../../api/hooks";
import { useHits, type Hit } from "../../api/watchlist";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Empty, Notice, Page, SelectInput } from "../../components/ui";
import { HitCard } from "./HitCard";

const STATES = ["open", "confirmed", "dismissed", ""] as const;

/** Reads whose plate stands in a watchlist: each an indication that a person compares with the picture. */
export function HitsPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [state, setState] = useState("open");
  const [decided, setDecided] = useState<Hit | null>(null);
  const list = useHits(state, true);
  const cameras = useCameras(may("camera.list"));
  const byId = new Map((cameras.data ?? []).map((one) => [one.id, one]));
  return (
    <Page
      title={t("page.hits")}
      tools={
        <SelectInput
          label={t("hits.state")}
          value={state}
          onChange={(event) => {
            setState(event.target.value);
            setDecided(null);
          }}
          options={STATES.map((one) => ({ value: one, label: one === "" ? t("hits.all") : t(`hitState.${one}`) }))}
        />
      }
    >
      <p className="px-4 pt-3 text-muted">{t("hits.explain")}</p>
      {decided !== null ? (
        <div className="px-4 pt-3">
          <Notice tone="ok">
            {t("hits.said", { plate: decided.plate ?? "–", state: t(`hitState.${decided.state}`) })}
          </Notice>
        </div>
      ) : null}
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? (
        <div className="px-4 pt-3">
          <Notice tone="bad">{problem(list.error)}</Notice>
        </div>
      ) : null}
      {list.data?.length === 0 ? (
        <Empty icon={BellRing}>{state === "open" ? t("hits.noneOpen") : t("hits.none")}</Empty>
      ) : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((hit) => (
          <HitCard key={hit.id} hit={hit} camera={byId.get(hit.camera_id) ?? null} onDecided={setDecided} />
        ))}
      </ul>
    </Page>
  );
}
