import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { cameras } from "../../api/calls";
import { keys } from "../../api/keys";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { KINDS, TRANSPORTS, degrees } from "./draft";
import { editField, editForm, needsCredentials, patchBody, type EditForm, type StreamForm } from "./edit";

/** Name, number, place and streams of a camera, also while it is in service. */
export function EditCamera({ camera, etag, onClose }: { camera: Camera; etag: string | null; onClose: () => void }) {
  const { t, problem } = useWords();
  const client = useQueryClient();
  const [form, setForm] = useState<EditForm>(() => editForm(camera));
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [general, setGeneral] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const body = patchBody(camera, form);
  const field = (key: Exclude<keyof EditForm, "streams">) => ({
    value: form[key],
    error: errors[key] ?? null,
    onChange: (event: { target: { value: string } }) => setForm((before) => ({ ...before, [key]: event.target.value })),
  });
  const setStream = (index: number, change: Partial<StreamForm>): void =>
    setForm((before) => ({
      ...before,
      streams: before.streams.map((one, i) => (i === index ? { ...one, ...change } : one)),
    }));

  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const own = ownProblems(camera, form, t);
    setErrors(own);
    if (Object.keys(own).length > 0) return;
    if (Object.keys(body).length === 0) {
      onClose();
      return;
    }
    setBusy(true);
    const answer = await cameras.patch(camera.id, body, etag);
    setBusy(false);
    await client.invalidateQueries({ queryKey: keys.cameras });
    if (answer.ok) {
      onClose();
      return;
    }
    const found: Record<string, string> = {};
    const rest: string[] = [];
    for (const one of answer.problem.errors) {
      const words = t(`fieldProblem.${one.problem}`, { defaultValue: one.problem });
      const key = editField(one.field);
      if (key === null) rest.push(`${one.field}: ${words}`);
      else found[key] = words;
    }
    setErrors(found);
    setGeneral([problem(answer.problem), ...rest].join(" "));
  };

  return (
    <Modal title={t("cameras.editTitle", { code: camera.code })} open onClose={onClose} wide>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-4">
        {general !== null ? <Notice tone="bad">{general}</Notice> : null}
        <fieldset className="grid gap-3 sm:grid-cols-3">
          <legend className="mb-2 font-semibold">{t("cameras.groupCamera")}</legend>
          <TextInput label={t("cameras.nameNl")} required autoFocus {...field("name_nl")} />
          <TextInput label={t("cameras.nameFr")} required {...field("name_fr")} />
          <TextInput label={t("cameras.callUp")} inputMode="numeric" pattern="[0-9]*" {...field("call_up")} />
          {camera.state === "draft" ? (
            <SelectInput
              label={t("cameras.kind")}
              options={KINDS.map((one) => ({ value: one, label: t(`cameraKind.${one}`) }))}
              {...field("kind")}
            />
          ) : null}
          <TextInput label={t("cameras.lat")} required inputMode="decimal" {...field("lat")} />
          <TextInput label={t("cameras.lon")} required inputMode="decimal" {...field("lon")} />
        </fieldset>
        {form.streams.map((stream, index) => (
          <StreamFields
            key={stream.use}
            camera={camera}
            stream={stream}
            error={(name) => errors[`streams.${index}.${name}`] ?? null}
            onChange={(change) => setStream(index, change)}
          />
        ))}
        {camera.state === "live" && body.streams !== undefined ? (
          <Notice tone="warn">{t("cameras.editLive")}</Notice>
        ) : null}
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isDisabled={busy}>
            {t("common.save")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function StreamFields({
  camera,
  stream,
  error,
  onChange,
}: {
  camera: Camera;
  stream: StreamForm;
  error: (name: string) => string | null;
  onChange: (change: Partial<StreamForm>) => void;
}) {
  const { t, code } = useWords();
  const stored = camera.streams.find((one) => one.use === stream.use)?.has_credentials === true;
  return (
    <fieldset className="grid gap-3 sm:grid-cols-3">
      <legend className="mb-2 font-semibold">{code("streamUse", stream.use)}</legend>
      <TextInput
        className="sm:col-span-2"
        label={t("cameras.address")}
        required={stream.use === "main"}
        hint={stream.use === "sub" ? t("cameras.subHint") : undefined}
        placeholder="rtsp://"
        spellCheck={false}
        value={stream.url}
        error={error("url")}
        onChange={(event) => onChange({ url: event.target.value })}
      />
      <SelectInput
        label={t("cameras.transport")}
        value={stream.transport}
        error={error("transport")}
        onChange={(event) => onChange({ transport: event.target.value })}
        options={TRANSPORTS.map((one) => ({ value: one, label: t(`transport.${one}`) }))}
      />
      <TextInput
        label={t("cameras.user")}
        autoComplete="off"
        required={needsCredentials(camera, stream)}
        hint={needsCredentials(camera, stream) ? t("cameras.newHost") : stored ? t("cameras.keptHint") : undefined}
        value={stream.user}
        error={error("user")}
        onChange={(event) => onChange({ user: event.target.value })}
      />
      <TextInput
        label={t("cameras.password")}
        type="password"
        autoComplete="new-password"
        required={stream.user !== ""}
        hint={t("cameras.passwordHint")}
        value={stream.password}
        error={error("password")}
        onChange={(event) => onChange({ password: event.target.value })}
      />
    </fieldset>
  );
}

/** What the form itself can tell before the server is asked. */
function ownProblems(camera: Camera, form: EditForm, t: ReturnType<typeof useWords>["t"]): Record<string, string> {
  const out: Record<string, string> = {};
  if (degrees(form.lat) === null) out["lat"] = t("fieldProblem.not_a_number");
  if (degrees(form.lon) === null) out["lon"] = t("fieldProblem.not_a_number");
  form.streams.forEach((stream, index) => {
    if (needsCredentials(camera, stream)) out[`streams.${index}.user`] = t("cameras.newHost");
  });
  return out;
}
