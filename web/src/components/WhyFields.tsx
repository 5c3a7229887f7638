import { useState } from "react";
import { useSession } from "../app/sessionContext";
import { useWords } from "../app/useWords";
import { why } from "../app/why";
import { defaultPurpose, PURPOSES, type PurposeCode } from "../domain/purpose";
import { Field, SelectInput, TextInput } from "./ui";

/** What a form asks of the reason; begins with the reason of the running task. `purposes`: those that the form may have. */
export function useWhyFields(purposes: readonly PurposeCode[] = PURPOSES) {
  const { profile } = useSession();
  const first = why.get()?.code ?? defaultPurpose(profile);
  const [code, setCode] = useState<PurposeCode>(purposes.includes(first) ? first : (purposes[0] ?? first));
  const [text, setText] = useState(why.get()?.justification ?? "");
  const [caseRef, setCaseRef] = useState(why.get()?.case_ref ?? "");
  const purpose = { code, justification: text.trim() || null, case_ref: caseRef.trim() || null };
  return { purposes, purpose, code, setCode, text, setText, caseRef, setCaseRef };
}

/** Purpose, justification and case of a form that is sent whole. */
export function WhyFields({
  fields,
  caseLabel,
  needsCase,
}: {
  fields: ReturnType<typeof useWhyFields>;
  caseLabel: string;
  needsCase: boolean;
}) {
  const { t } = useWords();
  return (
    <>
      <SelectInput
        label={t("why.purpose")}
        value={fields.code}
        onChange={(event) => fields.setCode(event.target.value as PurposeCode)}
        options={fields.purposes.map((one) => ({ value: one, label: t(`purpose.${one}`) }))}
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
            value={fields.text}
            onChange={(event) => fields.setText(event.target.value)}
          />
        )}
      </Field>
      <TextInput
        label={caseLabel}
        required={needsCase}
        minLength={needsCase ? 3 : undefined}
        maxLength={64}
        value={fields.caseRef}
        onChange={(event) => fields.setCaseRef(event.target.value)}
      />
    </>
  );
}
