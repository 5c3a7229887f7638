import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { admin } from "../../api/calls";
import { useOrgs } from "../../api/hooks";
import { keys } from "../../api/keys";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { DayInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";

/** Connects a partner under its agreement. It begins switched off. */
export function AddPartner({ onClose }: { onClose: () => void }) {
  const { t, name, refusal } = useWords();
  const client = useQueryClient();
  const orgs = useOrgs();
  const [form, setForm] = useState({ org_id: "", name: "", catalogue_url: "", document: "", date: "", advice: "" });
  const [error, setError] = useState<string | null>(null);
  const field = (key: keyof typeof form) => ({
    value: form[key],
    onChange: (event: { target: { value: string } }) => setForm((before) => ({ ...before, [key]: event.target.value })),
  });
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const { document, date, advice, ...rest } = form;
    const answer = await admin.createPartner({ ...rest, agreement: { document, date, advice } });
    if (!answer.ok) {
      setError(refusal(answer.problem));
      return;
    }
    await client.invalidateQueries({ queryKey: keys.partners });
    onClose();
  };
  return (
    <Modal title={t("partner.add")} open onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SelectInput
          label={t("users.org")}
          required
          options={[{ value: "", label: "" }, ...(orgs.data ?? []).map((org) => ({ value: org.id, label: name(org) }))]}
          {...field("org_id")}
        />
        <TextInput label={t("partner.name")} required {...field("name")} />
        <TextInput
          label={t("partner.catalogue")}
          required
          type="url"
          placeholder="https://"
          {...field("catalogue_url")}
        />
        <TextInput label={t("partner.agreement")} required {...field("document")} />
        <DayInput label={t("cameras.dated")} required {...field("date")} />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit">
            {t("partner.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
