import { useState } from "react";
import { useMatrixVersion, watch, type MatrixVersion } from "../../api/watch";
import { useWords } from "../../app/useWords";
import { Button, Notice } from "../../components/ui";
import { Card, ReasonStep, useAct } from "../sharing/act";
import { DiffView } from "./DiffView";

/** A version: who proposed it, who agreed, and on demand what it changes. */
export function VersionCard({ version }: { version: MatrixVersion }) {
  const { t, when } = useWords();
  const [open, setOpen] = useState(version.state === "waiting");
  return (
    <Card label={version.version}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>{version.version}</h3>
        <strong className="font-semibold">{t(`matrixState.${version.state}`)}</strong>
      </div>
      <p className="wrap-anywhere">{version.reason}</p>
      <p className="text-muted">
        {version.proposed === null
          ? t("matrix.shipped")
          : t("sharing.askedBy", { name: version.proposed.name, when: when(version.proposed.at) })}
        {" · "}
        {t("matrix.from", { when: when(version.active_at) })}
        {version.settled === null ? "" : ` · ${version.settled.name}, ${when(version.settled.at)}`}
      </p>
      {version.answer !== null ? <p className="wrap-anywhere">{version.answer}</p> : null}
      {open ? <Details id={version.id} /> : null}
      {version.proposed !== null ? (
        <div className="flex justify-end">
          <Button onPress={() => setOpen(!open)}>{open ? t("matrix.hide") : t("matrix.show")}</Button>
        </div>
      ) : null}
    </Card>
  );
}

function Details({ id }: { id: string }) {
  const { t, problem } = useWords();
  const sight = useMatrixVersion(id);
  const { act, busy, error } = useAct();
  if (sight.isError) return <Notice tone="bad">{problem(sight.error)}</Notice>;
  if (sight.data === undefined) return null;
  const { diff, may_settle, may_withdraw } = sight.data;
  return (
    <>
      {diff !== null ? <DiffView diff={diff} /> : null}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <div className="flex flex-wrap justify-end gap-2">
        {may_withdraw ? (
          <Button isPending={busy} onPress={() => void act(() => watch.settleMatrix(id, "withdraw", ""))}>
            {t("sharing.withdraw")}
          </Button>
        ) : null}
        {may_settle ? (
          <>
            <ReasonStep label={t("sharing.refuse")} run={(reason) => watch.settleMatrix(id, "refuse", reason)} />
            <Button
              look="primary"
              isPending={busy}
              onPress={() => void act(() => watch.settleMatrix(id, "approve", ""))}
            >
              {t("sharing.approve")}
            </Button>
          </>
        ) : null}
      </div>
    </>
  );
}
