import { FileUp, Plus, Ticket } from "lucide-react";
import { useState } from "react";
import { keys } from "../../api/keys";
import { permits, usePermits, type Permit } from "../../api/permits";
import { useRight } from "../../app/sessionContext";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Plate } from "../../components/Plate";
import { ReasonForm } from "../../components/ReasonForm";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { fromWire } from "../../domain/time";
import { AddPermit } from "./AddPermit";
import { ImportPermits } from "./ImportPermits";

/** The permit desk's register for the zones of the own municipality. Who decides findings reads it; the desk gives and ends. */
export function PermitsPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const edits = may("permit.edit");
  const [open, setOpen] = useState<"add" | "import" | null>(null);
  const list = usePermits();
  const rows = list.data ?? [];
  return (
    <Page
      title={t("page.permits")}
      tools={
        edits ? (
          <>
            <Button look="primary" onPress={() => setOpen("add")}>
              <Plus size={16} aria-hidden />
              {t("permits.add")}
            </Button>
            <Button onPress={() => setOpen("import")}>
              <FileUp size={16} aria-hidden />
              {t("permits.import")}
            </Button>
          </>
        ) : null
      }
    >
      {open === "add" ? <AddPermit onClose={() => setOpen(null)} /> : null}
      {open === "import" ? <ImportPermits onClose={() => setOpen(null)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("permits.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? (
        <div className="px-4 pt-3">
          <Notice tone="bad">{problem(list.error)}</Notice>
        </div>
      ) : null}
      {list.isSuccess && rows.length === 0 ? (
        <Empty icon={Ticket}>{edits ? t("permits.noneYet") : t("permits.none")}</Empty>
      ) : null}
      {rows.length > 0 ? <PermitTable rows={rows} edits={edits} /> : null}
    </Page>
  );
}

export function PermitTable({ rows, edits }: { rows: readonly Permit[]; edits: boolean }) {
  const { t } = useWords();
  return (
    <table>
      <caption className="sr-only">{t("page.permits")}</caption>
      <thead>
        <tr>
          <th scope="col">{t("permits.number")}</th>
          <th scope="col">{t("permits.plate")}</th>
          <th scope="col">{t("permits.right")}</th>
          <th scope="col">{t("permits.zones")}</th>
          <th scope="col">{t("permits.span")}</th>
          <th scope="col">{t("permits.state")}</th>
          {edits ? <th scope="col">{t("permits.step")}</th> : null}
        </tr>
      </thead>
      <tbody>
        {rows.map((one) => (
          <PermitRow key={one.id} one={one} edits={edits} />
        ))}
      </tbody>
    </table>
  );
}

function PermitRow({ one, edits }: { one: Permit; edits: boolean }) {
  const { t, when } = useWords();
  const { act, busy, error } = useAct([keys.permits]);
  const [ending, setEnding] = useState(false);
  const [now] = useState(() => Date.now());
  const leave = (): void => setEnding(false);
  const isOver = fromWire(one.to) <= now;
  return (
    <tr>
      <td className="wrap-anywhere">{one.id}</td>
      <td>
        <Plate text={one.plate} country={one.country} />
      </td>
      <td>{one.right}</td>
      <td>{one.zones.join(" ")}</td>
      <td className="tabular-nums">
        {when(one.from)} – {when(one.to)}
      </td>
      <td>{isOver ? t("permits.over") : t(`permitState.${one.status}`, { defaultValue: one.status })}</td>
      {edits ? (
        <td>
          {error !== null ? <Notice tone="bad">{error}</Notice> : null}
          {ending ? (
            <ReasonForm
              label={t("permits.endWhy")}
              send={t("permits.end")}
              look="danger"
              busy={busy}
              onSend={(reason) => void act(() => permits.end(one.id, reason), leave)}
              onCancel={leave}
            />
          ) : isOver ? null : (
            <Button isPending={busy} onPress={() => setEnding(true)}>
              {t("permits.end")}
            </Button>
          )}
        </td>
      ) : null}
    </tr>
  );
}
