import { useState } from "react";
import { keys } from "../../api/keys";
import { permits, type Imported } from "../../api/permits";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Notice, TextInput } from "../../components/ui";
import { toWire } from "../../domain/time";

/** One permit. What the law does not allow is told in its words, and the form stays open. */
export function AddPermit({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error, setError } = useAct([keys.permits]);
  const [fields, setFields] = useState({
    id: "",
    plate: "",
    country: "B",
    right: "",
    zones: "",
    evidence: "",
    why: "",
  });
  const [from, setFrom] = useState<number | null>(() => Date.now());
  const [to, setTo] = useState<number | null>(null);
  const text = (name: keyof typeof fields, max: number, upper = false, min?: number) => (
    <TextInput
      label={t(`permits.field.${name}`)}
      required
      maxLength={max}
      minLength={min}
      autoComplete="off"
      spellCheck={false}
      value={fields[name]}
      onChange={(event) => {
        const value = upper ? event.target.value.toUpperCase() : event.target.value;
        setFields((known) => ({ ...known, [name]: value }));
      }}
    />
  );
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (from === null || to === null) {
      setError(t("moment.wrong"));
      return;
    }
    const { id, plate, country, right, evidence } = fields;
    const zones = fields.zones.split(/\s+/).filter(Boolean);
    const span = { from: toWire(from), to: toWire(to), granted_at: toWire(Date.now()) };
    const body = { id, plate, country, right, evidence, zones, ...span, status: "granted" };
    const done = (came: Imported): void => {
      const [refused] = came.refused;
      if (refused === undefined) onClose();
      else setError(refused.reason);
    };
    void act(() => permits.take(fields.why.trim(), [body], []), done);
  };
  return (
    <Modal title={t("permits.addTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        {text("id", 120)}
        {text("plate", 16, true)}
        {text("country", 3, true)}
        {text("right", 40, true)}
        {text("zones", 200, true)}
        <MomentInput label={t("permits.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("permits.to")} value={to} onChange={setTo} />
        {text("evidence", 120)}
        {text("why", 500, false, 10)}
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy}>
            {t("permits.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
