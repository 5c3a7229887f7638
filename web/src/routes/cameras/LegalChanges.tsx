// Changes of legal fields: those that wait, with the difference field by field, and every version that was.

import { Scale } from "lucide-react";
import { useState } from "react";
import { legalChanges } from "../../api/calls";
import { useLegalChanges } from "../../api/hooks";
import { keys } from "../../api/keys";
import type { Camera, LegalChange } from "../../api/types";
import { useRight } from "../../app/sessionContext";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { SettleRow } from "../../components/SettleRow";
import { Button, Empty, Notice } from "../../components/ui";

/** How many proposals wait, and the list of them; nothing for whoever may not see any. */
export function WaitingChanges({ onCamera }: { onCamera: (id: string) => void }) {
  const { t } = useWords();
  const may = useRight();
  const list = useLegalChanges(null, may("camera.edit") || may("camera.approve") || may("audit.view"));
  const [open, setOpen] = useState(false);
  const waiting = list.data ?? [];
  if (!list.isSuccess) return null;
  return (
    <>
      <Button onPress={() => setOpen(true)}>
        <Scale size={16} aria-hidden />
        {t("legal.waiting", { count: waiting.length })}
      </Button>
      <Modal title={t("legal.waitingTitle")} open={open} onClose={() => setOpen(false)} wide>
        {waiting.length === 0 ? <Empty icon={Scale}>{t("legal.noneWaits")}</Empty> : null}
        <ul className="flex flex-col gap-3">
          {waiting.map((change) => (
            <li key={change.id}>
              <Change
                change={change}
                onCamera={() => {
                  setOpen(false);
                  onCamera(change.camera.id);
                }}
              />
            </li>
          ))}
        </ul>
        <div className="flex justify-end">
          <Button onPress={() => setOpen(false)}>{t("common.close")}</Button>
        </div>
      </Modal>
    </>
  );
}

/** The changes of one camera, newest first. */
export function CameraChanges({ camera }: { camera: Camera }) {
  const { t } = useWords();
  const may = useRight();
  const list = useLegalChanges(camera.id, camera.may.edit || camera.may.approve || may("audit.view"));
  const all = list.data ?? [];
  if (all.length === 0) return null;
  return (
    <section>
      <h3 className="mb-1 font-semibold">{t("legal.versions")}</h3>
      <ul className="flex flex-col gap-2">
        {all.map((change) => (
          <li key={change.id}>
            <Change change={change} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Change({ change, onCamera }: { change: LegalChange; onCamera?: () => void }) {
  const { t, name, when } = useWords();
  const { proposed, settled } = change;
  return (
    <article className="flex flex-col gap-2 rounded border border-line p-3" aria-label={change.camera.code}>
      <div className="flex flex-wrap items-baseline justify-between gap-2">
        {onCamera === undefined ? null : (
          <button
            type="button"
            className="min-h-6 text-left text-accent underline-offset-2 hover:underline"
            onClick={onCamera}
          >
            {change.camera.code} – {name(change.camera)}
          </button>
        )}
        <strong className="font-semibold">{t(`legalState.${change.state}`)}</strong>
      </div>
      <Difference change={change} />
      <p className="wrap-anywhere">{change.reason}</p>
      <p className="text-xs text-muted">{t("legal.proposedBy", { name: proposed.name, when: when(proposed.at) })}</p>
      {settled !== null && settled !== undefined ? (
        <p className="text-xs text-muted">{t("legal.settledBy", { name: settled.name, when: when(settled.at) })}</p>
      ) : null}
      {change.answer !== null ? <p className="wrap-anywhere">{t("legal.answer", { text: change.answer })}</p> : null}
      {change.may_settle || change.may_withdraw ? <Decide change={change} /> : null}
    </article>
  );
}

function Difference({ change }: { change: LegalChange }) {
  const { t, code } = useWords();
  const words = (field: string, value: string | null): string => {
    if (value === null || value === "") return "–";
    if (field === "kind") return code("cameraKind", value);
    if (field === "retention_class") return `${value} – ${t(`retention.${value}`, { defaultValue: "" })}`;
    return value;
  };
  return (
    <table>
      <caption className="sr-only">{t("legal.difference")}</caption>
      <thead>
        <tr>
          <th scope="col">{t("legal.field")}</th>
          <th scope="col">{change.state === "waiting" ? t("legal.now") : t("legal.before")}</th>
          <th scope="col">{change.state === "approved" ? t("legal.since") : t("legal.proposed")}</th>
        </tr>
      </thead>
      <tbody>
        {change.changes.map((one) => (
          <tr key={one.field}>
            <th scope="row">{t(`legalField.${one.field}`)}</th>
            <td className="wrap-anywhere">{words(one.field, one.before)}</td>
            <td className="font-semibold wrap-anywhere">{words(one.field, one.after)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Decide({ change }: { change: LegalChange }) {
  const { t } = useWords();
  const { act, busy, error } = useAct([keys.cameras, keys.legalChanges]);
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {change.may_withdraw ? (
        <div className="flex justify-end">
          <Button isPending={busy} onPress={() => void act(() => legalChanges.withdraw(change.id))}>
            {t("legal.withdraw")}
          </Button>
        </div>
      ) : null}
      <SettleRow
        may={change.may_settle}
        refuse={t("legal.refuse")}
        why={t("legal.refuseWhy")}
        busy={busy}
        onRefuse={(reason, done) => void act(() => legalChanges.refuse(change.id, reason), done)}
      >
        <Button look="primary" isPending={busy} onPress={() => void act(() => legalChanges.approve(change.id))}>
          {t("legal.approve")}
        </Button>
      </SettleRow>
    </div>
  );
}
