import { useQueryClient } from "@tanstack/react-query";
import { Scale } from "lucide-react";
import { useState } from "react";
import { cameras } from "../../api/calls";
import { keys } from "../../api/keys";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { RETENTION } from "./draft";

/** Legal basis, pictogram and retention class of a camera: without them a draft can't be approved. */
export function LegalForm({ camera, etag }: { camera: Camera; etag: string | null }) {
  const { t, problem } = useWords();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const [form, setForm] = useState({
    document: camera.legal_basis?.document ?? "",
    date: camera.legal_basis?.date ?? "",
    advice: camera.legal_basis?.advice ?? "",
    pictogram_on: camera.pictogram_on ?? "",
    retention_class: camera.retention_class ?? RETENTION[0],
  });
  const [error, setError] = useState<string | null>(null);
  const field = (key: keyof typeof form) => ({
    value: form[key],
    onChange: (event: { target: { value: string } }) => setForm((before) => ({ ...before, [key]: event.target.value })),
  });
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const { document, date, advice, pictogram_on, retention_class } = form;
    const body = {
      retention_class,
      legal_basis: { document: document.trim(), date, advice: advice.trim() },
      ...(pictogram_on === "" ? {} : { pictogram_on }),
    };
    const answer = await cameras.patch(camera.id, body, etag);
    if (answer.ok) setOpen(false);
    const fields = answer.ok
      ? []
      : answer.problem.errors.map(
          (one) => `${one.field}: ${t(`fieldProblem.${one.problem}`, { defaultValue: one.problem })}`,
        );
    setError(answer.ok ? null : [problem(answer.problem), ...fields].join(" "));
    await client.invalidateQueries({ queryKey: keys.cameras });
  };
  const classes: readonly string[] = RETENTION;
  const choices = classes.includes(form.retention_class) ? classes : [form.retention_class, ...classes];
  if (!open) {
    return (
      <Button onPress={() => setOpen(true)}>
        <Scale size={15} aria-hidden />
        {t("cameras.editLaw")}
      </Button>
    );
  }
  return (
    <form
      onSubmit={(event) => void submit(event)}
      className="flex w-full flex-col gap-2 rounded border border-line p-3"
    >
      <h3 className="font-semibold">{t("cameras.groupLaw")}</h3>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <TextInput label={t("cameras.document")} required autoFocus {...field("document")} />
      <TextInput label={t("cameras.dated")} type="date" required {...field("date")} />
      <TextInput label={t("cameras.advice")} {...field("advice")} />
      <TextInput label={t("cameras.pictogram")} type="date" {...field("pictogram_on")} />
      <SelectInput
        label={t("cameras.retention")}
        options={choices.map((one) => ({
          value: one,
          label: `${one} – ${t(`retention.${one}`, { defaultValue: "" })}`,
        }))}
        {...field("retention_class")}
      />
      <div className="flex justify-end gap-2">
        <Button onPress={() => setOpen(false)}>{t("common.cancel")}</Button>
        <Button look="primary" type="submit">
          {t("common.save")}
        </Button>
      </div>
    </form>
  );
}
