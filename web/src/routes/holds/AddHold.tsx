import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { holds } from "../../api/calls";
import { useCameras } from "../../api/hooks";
import { keys } from "../../api/keys";
import type { HoldsSearch } from "../../app/router";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { why } from "../../app/why";
import { Modal } from "../../components/Modal";
import { DayInput, MomentInput } from "../../components/moment";
import { Button, Field, Notice, SelectInput, TextInput } from "../../components/ui";
import { parseDay } from "../../domain/moment";
import { defaultPurpose, PURPOSES, type PurposeCode } from "../../domain/purpose";
import { MINUTE, toWire } from "../../domain/time";
import { endOfDay } from "./term";

/** The form of a new hold; a span that is handed over by playback stands in it already. */
export function AddHold({ wish, onClose }: { wish: HoldsSearch; onClose: () => void }) {
  const { t, name, problem } = useWords();
  const client = useQueryClient();
  const { profile } = useSession();
  const cameras = useCameras();
  const own = (cameras.data ?? []).filter((one) => one.partner === null && one.state !== "draft");
  const [camera, setCamera] = useState(wish.camera ?? "");
  const [from, setFrom] = useState<number | null>(wish.from ?? Date.now() - 30 * MINUTE);
  const [to, setTo] = useState<number | null>(wish.to ?? Date.now());
  const [until, setUntil] = useState("");
  const [code, setCode] = useState<PurposeCode>(why.get()?.code ?? defaultPurpose(profile));
  const [text, setText] = useState(why.get()?.justification ?? "");
  const [caseRef, setCaseRef] = useState(why.get()?.case_ref ?? "");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const chosen = camera === "" ? (own[0]?.id ?? "") : camera;
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const last = endOfDay(until);
    if (from === null || to === null || last === null) {
      setError(t(last === null ? "moment.wrongDay" : "moment.wrong"));
      return;
    }
    setBusy(true);
    const answer = await holds.set({
      camera_id: chosen,
      from: toWire(from),
      to: toWire(to),
      until: toWire(last),
      purpose: { code, justification: text.trim() || null, case_ref: caseRef.trim() || null },
    });
    setBusy(false);
    await client.invalidateQueries({ queryKey: keys.holds });
    if (answer.ok) {
      onClose();
      return;
    }
    const fields = answer.problem.errors.map(
      (one) => `${one.field}: ${t(`fieldProblem.${one.problem}`, { defaultValue: one.problem })}`,
    );
    setError([problem(answer.problem), ...fields].join(" "));
  };
  return (
    <Modal title={t("holds.addTitle")} open onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SelectInput
          label={t("holds.camera")}
          value={chosen}
          onChange={(event) => setCamera(event.target.value)}
          options={own.map((one) => ({ value: one.id, label: `${one.code} – ${name(one)}` }))}
        />
        <MomentInput label={t("holds.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("holds.to")} value={to} onChange={setTo} />
        <DayInput
          label={t("holds.until")}
          required
          value={until}
          onChange={(event) => setUntil(event.target.value)}
          error={until !== "" && parseDay(until) === null ? t("moment.wrongDay") : null}
        />
        <p className="text-xs text-muted">{t("holds.untilHint")}</p>
        <SelectInput
          label={t("why.purpose")}
          value={code}
          onChange={(event) => setCode(event.target.value as PurposeCode)}
          options={PURPOSES.map((one) => ({ value: one, label: t(`purpose.${one}`) }))}
        />
        <Field label={t("why.justification")} hint={t("why.hint")}>
          {({ id, describedBy, invalid }) => (
            <textarea
              id={id}
              aria-describedby={describedBy}
              aria-invalid={invalid}
              rows={3}
              required
              minLength={10}
              maxLength={500}
              className="field"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <TextInput
          label={t("why.caseOptional")}
          maxLength={64}
          value={caseRef}
          onChange={(event) => setCaseRef(event.target.value)}
        />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy || chosen === ""}>
            {t("holds.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
