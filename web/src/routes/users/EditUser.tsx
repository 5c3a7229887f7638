import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { admin } from "../../api/calls";
import { unwrap } from "../../api/http";
import { identity } from "../../api/identity";
import { keys } from "../../api/keys";
import type { User, UserPatch } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Notice, TextInput } from "../../components/ui";

/** What an account shows and holds, besides its name. */
export interface Conditions {
  more_profiles: string[];
  charter_on: string | null;
  training_on: string | null;
  clearance_on: string | null;
}
export type UserNow = User & Conditions & { lacks: string[]; grace_until?: string; provider_subject?: string };

/** Fields shared by the forms that make and change an account. */
export function ConditionFields({
  form,
  onChange,
}: {
  form: Record<keyof Conditions, string>;
  onChange: (key: keyof Conditions, value: string) => void;
}) {
  const { t } = useWords();
  const field = (key: keyof Conditions) => ({
    value: form[key],
    onChange: (event: { target: { value: string } }) => onChange(key, event.target.value),
  });
  return (
    <>
      <TextInput
        label={t("users.moreProfiles")}
        hint={t("users.moreHint")}
        autoComplete="off"
        {...field("more_profiles")}
      />
      <TextInput label={t("users.charter")} type="date" {...field("charter_on")} />
      <TextInput label={t("users.training")} type="date" {...field("training_on")} />
      <TextInput label={t("users.clearance")} type="date" {...field("clearance_on")} />
    </>
  );
}

export const profileWords = (text: string): string[] =>
  text
    .toUpperCase()
    .split(/[\s,]+/)
    .filter((word) => word !== "");

export function EditUser({ user, onClose }: { user: UserNow; onClose: () => void }) {
  const { t, refusal } = useWords();
  const client = useQueryClient();
  const session = useSession();
  const [form, setForm] = useState({
    more_profiles: user.more_profiles.join(" "),
    charter_on: user.charter_on ?? "",
    training_on: user.training_on ?? "",
    clearance_on: user.clearance_on ?? "",
  });
  const [subject, setSubject] = useState(user.provider_subject ?? "");
  const ways = useQuery({
    queryKey: keys.loginWays,
    queryFn: async () => unwrap(await identity.ways()),
    staleTime: 60_000,
  });
  const provider = ways.data?.provider ?? null;
  const [error, setError] = useState<string | null>(null);
  const send = async (body: Partial<UserPatch>): Promise<void> => {
    const answer = await admin.patchUser(user.id, body as UserPatch);
    if (!answer.ok) {
      setError(refusal(answer.problem));
      return;
    }
    await client.invalidateQueries({ queryKey: keys.users });
    onClose();
  };
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    const linked = subject.trim() === (user.provider_subject ?? "") ? {} : { provider_subject: subject.trim() };
    void send({ ...form, ...linked, more_profiles: profileWords(form.more_profiles) } as Partial<UserPatch>);
  };
  return (
    <Modal title={`${t("users.edit")}: ${user.name}`} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <ConditionFields form={form} onChange={(key, value) => setForm((before) => ({ ...before, [key]: value }))} />
        {provider !== null && user.id !== session.user.id ? (
          <TextInput
            label={t("users.subject", { name: provider })}
            hint={t("users.subjectHint")}
            autoComplete="off"
            value={subject}
            onChange={(event) => setSubject(event.target.value)}
          />
        ) : null}
        <div className="flex flex-wrap justify-end gap-2">
          <Button
            look="danger"
            isDisabled={user.id === session.user.id}
            onPress={() => void send({ reset_factors: true })}
          >
            {t("users.resetFactors")}
          </Button>
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit">
            {t("common.save")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
