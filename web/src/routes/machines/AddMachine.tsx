import { useState } from "react";
import { admin } from "../../api/calls";
import { useOrgs } from "../../api/hooks";
import { keys } from "../../api/keys";
import { MACHINE_PROFILE } from "../../api/machines";
import type { UserBody } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";

/** An account of a machine: it has no password, only certificates. */
export function AddMachine({ onClose }: { onClose: () => void }) {
  const { t, name: nameOf, language } = useWords();
  const session = useSession();
  const orgs = useOrgs();
  const { act, busy, error } = useAct([keys.users]);
  const [userName, setUserName] = useState("");
  const [name, setName] = useState("");
  const [org, setOrg] = useState(session.org.id);
  const body = { user_name: userName.trim(), name: name.trim(), org_id: org, profile: MACHINE_PROFILE, language };
  return (
    <Modal title={t("machines.add")} open onClose={onClose}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          void act(() => admin.createUser(body as UserBody), onClose);
        }}
      >
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <p className="text-muted">{t("machines.addHint")}</p>
        <TextInput
          label={t("login.user")}
          required
          autoFocus
          autoComplete="off"
          value={userName}
          onChange={(event) => setUserName(event.target.value)}
        />
        <TextInput
          label={t("users.name")}
          required
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <SelectInput
          label={t("users.org")}
          options={(orgs.data ?? [session.org]).map((one) => ({ value: one.id, label: nameOf(one) }))}
          value={org}
          onChange={(event) => setOrg(event.target.value)}
        />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy}>
            {t("machines.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
