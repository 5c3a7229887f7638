import { useState } from "react";
import { Modal } from "../components/Modal";
import { Button, Field, SelectInput, TextInput } from "../components/ui";
import { defaultPurpose, goodJustification, PURPOSES, type PurposeCode } from "../domain/purpose";
import { useSession } from "./sessionContext";
import { useStore } from "./useStore";
import { useWords } from "./useWords";
import { question, why, type Question } from "./why";

/** Asks purpose and justification once a task. */
export function WhyDialog() {
  const { t } = useWords();
  const open = useStore(question);
  return (
    <Modal title={t("why.dialog")} open={open !== null} onClose={() => open?.answer(null)}>
      {open !== null ? <Form asked={open} /> : null}
    </Modal>
  );
}

function Form({ asked }: { asked: Question }) {
  const { t } = useWords();
  const { profile } = useSession();
  const before = why.get();
  const [code, setCode] = useState<PurposeCode>(before?.code ?? defaultPurpose(profile));
  const [text, setText] = useState(before?.justification ?? "");
  const [caseRef, setCaseRef] = useState(before?.case_ref ?? "");
  const [magistrate, setMagistrate] = useState(before?.magistrate_ref ?? "");
  const [tried, setTried] = useState(false);
  const needsText = asked.needs.includes("justification");
  const needsCase = asked.needs.includes("case");
  const needsMagistrate = asked.needs.includes("magistrate");
  const textError = (needsText || text.trim() !== "") && !goodJustification(text) ? t("why.tooShort") : null;
  const caseError = needsCase && caseRef.trim() === "" ? t("why.caseMissing") : null;
  const magistrateError = needsMagistrate && magistrate.trim() === "" ? t("why.magistrateMissing") : null;
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    setTried(true);
    if (textError !== null || caseError !== null || magistrateError !== null) return;
    const reference = magistrate.trim() === "" ? {} : { magistrate_ref: magistrate.trim() };
    asked.answer({ code, justification: text.trim() || null, case_ref: caseRef.trim() || null, ...reference });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <p className="text-muted">{t("why.explain")}</p>
      <SelectInput
        label={t("why.purpose")}
        value={code}
        onChange={(event) => setCode(event.target.value as PurposeCode)}
        options={PURPOSES.map((one) => ({ value: one, label: t(`purpose.${one}`) }))}
      />
      <Field label={t("why.justification")} hint={t("why.hint")} error={tried ? textError : null}>
        {({ id, describedBy, invalid }) => (
          <textarea
            id={id}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            autoFocus
            rows={3}
            maxLength={500}
            className="field"
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.shiftKey) {
                event.preventDefault();
                event.currentTarget.form?.requestSubmit();
              }
            }}
          />
        )}
      </Field>
      <TextInput
        label={needsCase ? t("why.case") : t("why.caseOptional")}
        error={tried ? caseError : null}
        maxLength={64}
        value={caseRef}
        onChange={(event) => setCaseRef(event.target.value)}
      />
      {needsMagistrate ? (
        <TextInput
          label={t("why.magistrate")}
          error={tried ? magistrateError : null}
          maxLength={64}
          value={magistrate}
          onChange={(event) => setMagistrate(event.target.value)}
        />
      ) : null}
      <div className="flex justify-end gap-2">
        <Button onPress={() => asked.answer(null)}>{t("common.cancel")}</Button>
        <Button look="primary" type="submit">
          {t("why.go")}
        </Button>
      </div>
    </form>
  );
}
