import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { exports } from "../../api/calls";
import { useCameras } from "../../api/hooks";
import { keys } from "../../api/keys";
import type { ExportsSearch } from "../../app/router";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { why } from "../../app/why";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Field, Notice, SelectInput, TextInput } from "../../components/ui";
import { defaultPurpose, PURPOSES, type PurposeCode } from "../../domain/purpose";
import { MINUTE, toWire } from "../../domain/time";

const LANGUAGES = ["nl", "fr", "en"] as const;

/** The order of an export; a span that is handed over by playback stands in it already. */
export function OrderExport({ wish, onClose }: { wish: ExportsSearch; onClose: () => void }) {
  const { t, name, problem, language } = useWords();
  const client = useQueryClient();
  const { profile } = useSession();
  const cameras = useCameras();
  const own = (cameras.data ?? []).filter((one) => one.partner === null && one.state !== "draft");
  const [camera, setCamera] = useState(wish.camera ?? "");
  const [from, setFrom] = useState<number | null>(wish.from ?? Date.now() - 10 * MINUTE);
  const [to, setTo] = useState<number | null>(wish.to ?? Date.now() - MINUTE);
  const [sheet, setSheet] = useState<string>(language);
  const [code, setCode] = useState<PurposeCode>(why.get()?.code ?? defaultPurpose(profile));
  const [text, setText] = useState(why.get()?.justification ?? "");
  const [caseRef, setCaseRef] = useState(why.get()?.case_ref ?? "");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const chosen = own.find((one) => one.id === camera) ?? own[0];
  const stream = chosen?.streams.find((one) => one.use === "main") ?? chosen?.streams[0];
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    if (from === null || to === null || stream === undefined) {
      setError(t("moment.wrong"));
      return;
    }
    setBusy(true);
    const answer = await exports.order({
      stream_id: stream.id,
      from: toWire(from),
      to: toWire(to),
      language: sheet,
      purpose: { code, justification: text.trim() || null, case_ref: caseRef.trim() || null },
    });
    setBusy(false);
    await client.invalidateQueries({ queryKey: keys.exports });
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
    <Modal title={t("exports.orderTitle")} open onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SelectInput
          label={t("exports.camera")}
          value={chosen?.id ?? ""}
          onChange={(event) => setCamera(event.target.value)}
          options={own.map((one) => ({ value: one.id, label: `${one.code} – ${name(one)}` }))}
        />
        <MomentInput label={t("exports.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("exports.to")} value={to} onChange={setTo} />
        <SelectInput
          label={t("exports.sheet")}
          value={sheet}
          onChange={(event) => setSheet(event.target.value)}
          options={LANGUAGES.map((one) => ({ value: one, label: t(`language.${one}`) }))}
        />
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
          label={t("exports.caseRef")}
          required
          minLength={3}
          maxLength={64}
          value={caseRef}
          onChange={(event) => setCaseRef(event.target.value)}
        />
        <p className="text-xs text-muted">{t("exports.orderHint")}</p>
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy || stream === undefined}>
            {t("exports.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
