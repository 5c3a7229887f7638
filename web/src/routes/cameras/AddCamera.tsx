import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { cameras } from "../../api/calls";
import { useOrgs } from "../../api/hooks";
import { keys } from "../../api/keys";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { DayInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import {
  draftBody,
  draftProblems,
  emptyDraft,
  fieldOf,
  KINDS,
  RETENTION,
  TRANSPORTS,
  type DraftForm,
  type FieldName,
} from "./draft";

/** A new camera is first a saved draft: it neither records nor shows until it is approved with its legal basis. */
export function AddCamera({ onClose }: { onClose: (made: string | null) => void }) {
  const { t, name, problem } = useWords();
  const client = useQueryClient();
  const session = useSession();
  const orgs = useOrgs();
  const [form, setForm] = useState<DraftForm>(() => emptyDraft(session.org.id));
  const [errors, setErrors] = useState<Partial<Record<FieldName, string>>>({});
  const [general, setGeneral] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const field = (key: FieldName) => ({
    value: form[key],
    error: errors[key] ?? null,
    onChange: (event: { target: { value: string } }) => setForm((before) => ({ ...before, [key]: event.target.value })),
  });
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const own = draftProblems(form);
    if (own.length > 0) {
      setErrors(Object.fromEntries(own.map((one) => [one, t("fieldProblem.not_a_number")])));
      return;
    }
    setBusy(true);
    const answer = await cameras.create(draftBody(form));
    setBusy(false);
    if (answer.ok) {
      await client.invalidateQueries({ queryKey: keys.cameras });
      onClose(answer.value.id);
      return;
    }
    const found: Partial<Record<FieldName, string>> = {};
    const rest: string[] = [];
    for (const one of answer.problem.errors) {
      const words = t(`fieldProblem.${one.problem}`, { defaultValue: one.problem });
      const key = fieldOf(one.field);
      if (key === null) rest.push(`${one.field}: ${words}`);
      else found[key] = words;
    }
    setErrors(found);
    setGeneral([problem(answer.problem), ...rest].join(" "));
  };
  const orgOptions = (orgs.data ?? [session.org]).map((org) => ({ value: org.id, label: name(org) }));

  return (
    <Modal title={t("cameras.addTitle")} open onClose={() => onClose(null)} wide>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-4">
        <p className="text-muted">{t("cameras.addExplain")}</p>
        {general !== null ? <Notice tone="bad">{general}</Notice> : null}
        <Group title={t("cameras.groupCamera")}>
          <TextInput label={t("cameras.code")} required autoFocus {...field("code")} />
          <TextInput label={t("cameras.callUp")} inputMode="numeric" pattern="[0-9]*" {...field("call_up")} />
          <SelectInput
            label={t("cameras.kind")}
            options={KINDS.map((one) => ({ value: one, label: t(`cameraKind.${one}`) }))}
            {...field("kind")}
          />
          <TextInput label={t("cameras.nameNl")} required {...field("name_nl")} />
          <TextInput label={t("cameras.nameFr")} required {...field("name_fr")} />
          <SelectInput label={t("cameras.owner")} options={orgOptions} {...field("owner")} />
          <TextInput label={t("cameras.lat")} required inputMode="decimal" placeholder="50.8467" {...field("lat")} />
          <TextInput label={t("cameras.lon")} required inputMode="decimal" placeholder="4.3525" {...field("lon")} />
        </Group>
        <Group title={t("cameras.groupStreams")}>
          <TextInput
            className="sm:col-span-3"
            label={t("cameras.mainUrl")}
            required
            placeholder="rtsp://"
            spellCheck={false}
            {...field("main_url")}
          />
          <TextInput
            className="sm:col-span-3"
            label={t("cameras.subUrl")}
            hint={t("cameras.subHint")}
            placeholder="rtsp://"
            spellCheck={false}
            {...field("sub_url")}
          />
          <TextInput label={t("cameras.user")} autoComplete="off" spellCheck={false} {...field("user")} />
          <TextInput
            label={t("cameras.password")}
            hint={t("cameras.passwordHint")}
            type="password"
            autoComplete="new-password"
            {...field("password")}
          />
          <SelectInput
            label={t("cameras.transport")}
            options={TRANSPORTS.map((one) => ({ value: one, label: t(`transport.${one}`) }))}
            {...field("transport")}
          />
        </Group>
        <Group title={t("cameras.groupLaw")}>
          <SelectInput
            label={t("cameras.retention")}
            options={RETENTION.map((one) => ({ value: one, label: `${one} – ${t(`retention.${one}`)}` }))}
            {...field("retention_class")}
          />
          <TextInput label={t("cameras.document")} {...field("document")} />
          <DayInput label={t("cameras.dated")} {...field("dated")} />
          <TextInput label={t("cameras.advice")} {...field("advice")} />
          <DayInput label={t("cameras.pictogram")} {...field("pictogram_on")} />
        </Group>
        <div className="flex justify-end gap-2">
          <Button onPress={() => onClose(null)}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy}>
            {t("cameras.saveDraft")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Group({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <fieldset className="grid gap-3 sm:grid-cols-3">
      <legend className="mb-2 font-semibold">{title}</legend>
      {children}
    </fieldset>
  );
}
