import { useQueryClient } from "@tanstack/react-query";
import { Scale } from "lucide-react";
import { useState } from "react";
import { cameras, legalChanges } from "../../api/calls";
import { keys } from "../../api/keys";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { DayInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { KINDS, RETENTION } from "./draft";
import { draftBody, lawForm, proposalBody, type LawForm } from "./legal";

/** Legal fields of a camera. A draft is changed at once; past it this makes a proposal, and somebody else approves. */
export function LegalForm({ camera, etag }: { camera: Camera; etag: string | null }) {
  const { t, problem } = useWords();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const [form, setForm] = useState<LawForm>(() => lawForm(camera));
  const [error, setError] = useState<string | null>(null);
  const isDraft = camera.state === "draft";
  const field = (key: keyof LawForm) => ({
    value: form[key],
    onChange: (event: { target: { value: string } }) => setForm((before) => ({ ...before, [key]: event.target.value })),
  });
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const proposal = isDraft ? null : proposalBody(camera, form);
    if (!isDraft && proposal === null) {
      setError(t("legal.nothing"));
      return;
    }
    const answer =
      proposal === null
        ? await cameras.patch(camera.id, draftBody(form), etag)
        : await legalChanges.propose(camera.id, proposal);
    if (answer.ok) setOpen(false);
    const fields = answer.ok
      ? []
      : answer.problem.errors
          .filter((one) => one.field !== "legal_change")
          .map((one) => `${one.field}: ${t(`fieldProblem.${one.problem}`, { defaultValue: one.problem })}`);
    const waits = !answer.ok && answer.problem.errors.some((one) => one.field === "legal_change");
    setError(answer.ok ? null : waits ? t("legal.oneWaits") : [problem(answer.problem), ...fields].join(" "));
    await client.invalidateQueries({ queryKey: keys.cameras });
    await client.invalidateQueries({ queryKey: keys.legalChanges });
  };
  const classes: readonly string[] = RETENTION;
  const choices = classes.includes(form.retention_class) ? classes : [form.retention_class, ...classes];
  if (!open) {
    return (
      <Button onPress={() => setOpen(true)}>
        <Scale size={15} aria-hidden />
        {isDraft ? t("cameras.editLaw") : t("legal.propose")}
      </Button>
    );
  }
  return (
    <form
      onSubmit={(event) => void submit(event)}
      className="flex w-full flex-col gap-2 rounded border border-line p-3"
    >
      <h3 className="font-semibold">{isDraft ? t("cameras.groupLaw") : t("legal.propose")}</h3>
      {isDraft ? null : <Notice>{t("legal.explain")}</Notice>}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <TextInput label={t("cameras.document")} required autoFocus {...field("document")} />
      <DayInput label={t("cameras.dated")} required {...field("date")} />
      <TextInput label={t("cameras.advice")} {...field("advice")} />
      <DayInput
        label={t("cameras.pictogram")}
        required={(camera.pictogram_on ?? null) !== null}
        {...field("pictogram_on")}
      />
      <SelectInput
        label={t("cameras.retention")}
        options={choices.map((one) => ({
          value: one,
          label: `${one} – ${t(`retention.${one}`, { defaultValue: "" })}`,
        }))}
        {...field("retention_class")}
      />
      {isDraft ? null : (
        <>
          <SelectInput
            label={t("cameras.kind")}
            options={KINDS.map((one) => ({ value: one, label: t(`cameraKind.${one}`) }))}
            {...field("kind")}
          />
          <TextInput
            label={t("legal.reason")}
            required
            minLength={10}
            maxLength={500}
            autoComplete="off"
            {...field("reason")}
          />
        </>
      )}
      <div className="flex justify-end gap-2">
        <Button onPress={() => setOpen(false)}>{t("common.cancel")}</Button>
        <Button look="primary" type="submit">
          {isDraft ? t("common.save") : t("legal.send")}
        </Button>
      </div>
    </form>
  );
}
