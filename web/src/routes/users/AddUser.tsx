import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { admin } from "../../api/calls";
import { useOrgs } from "../../api/hooks";
import { keys } from "../../api/keys";
import type { UserBody } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { LANGUAGES } from "../../i18n";
import { ConditionFields, profileWords } from "./EditUser";

const PROFILES = Array.from({ length: 23 }, (_, i) => `P${String(i + 1).padStart(2, "0")}`);

export function AddUser({ onClose, onSecret }: { onClose: () => void; onSecret: (password: string) => void }) {
  const { t, name, refusal } = useWords();
  const client = useQueryClient();
  const session = useSession();
  const orgs = useOrgs();
  const [form, setForm] = useState({
    user_name: "",
    name: "",
    org_id: session.org.id,
    profile: "P01",
    language: "nl",
    more_profiles: "",
    charter_on: "",
    training_on: "",
    clearance_on: "",
  });
  const [error, setError] = useState<string | null>(null);
  const field = (key: keyof typeof form) => ({
    value: form[key],
    onChange: (event: { target: { value: string } }) => setForm((before) => ({ ...before, [key]: event.target.value })),
  });
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const day = (text: string): string | null => (text === "" ? null : text);
    const body = {
      ...form,
      more_profiles: profileWords(form.more_profiles),
      charter_on: day(form.charter_on),
      training_on: day(form.training_on),
      clearance_on: day(form.clearance_on),
    };
    const answer = await admin.createUser(body as UserBody);
    if (!answer.ok) {
      setError(refusal(answer.problem));
      return;
    }
    await client.invalidateQueries({ queryKey: keys.users });
    onClose();
    if (typeof answer.value.one_time_password === "string") onSecret(answer.value.one_time_password);
  };
  return (
    <Modal title={t("users.add")} open onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <TextInput label={t("login.user")} required autoFocus autoComplete="off" {...field("user_name")} />
        <TextInput label={t("users.name")} required autoComplete="off" {...field("name")} />
        <p className="text-xs text-muted">{t("users.firstPasswordHint")}</p>
        <SelectInput
          label={t("users.org")}
          options={(orgs.data ?? [session.org]).map((org) => ({ value: org.id, label: name(org) }))}
          {...field("org_id")}
        />
        <SelectInput
          label={t("users.profile")}
          options={PROFILES.map((one) => ({ value: one, label: `${one} · ${t(`profile.${one}`)}` }))}
          {...field("profile")}
        />
        <SelectInput
          label={t("shell.language")}
          options={LANGUAGES.map((one) => ({ value: one, label: t(`language.${one}`) }))}
          {...field("language")}
        />
        <ConditionFields form={form} onChange={(key, value) => setForm((before) => ({ ...before, [key]: value }))} />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit">
            {t("users.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
