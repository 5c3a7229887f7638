import { useQueryClient } from "@tanstack/react-query";
import { UserCheck, UserPlus, UserX } from "lucide-react";
import { useState } from "react";
import { admin } from "../../api/calls";
import { useOrgs, useUsers } from "../../api/hooks";
import { keys } from "../../api/keys";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Badge, Busy, Button, Notice, Page } from "../../components/ui";
import { AddUser } from "./AddUser";
import { EditUser, type UserNow } from "./EditUser";
import { OneTime } from "./OneTime";

export function UsersPage() {
  const { t, name, problem, when } = useWords();
  const client = useQueryClient();
  const session = useSession();
  const list = useUsers();
  const [adding, setAdding] = useState(false);
  const [editing, setEditing] = useState<UserNow | null>(null);
  const [error, setError] = useState<string | null>(null);
  const orgs = useOrgs();
  const [secret, setSecret] = useState<string | null>(null);
  const patch = async (id: string, body: { disabled?: boolean; reset_password?: boolean }): Promise<void> => {
    const answer = await admin.patchUser(id, body);
    setError(answer.ok ? null : problem(answer.problem));
    if (answer.ok) setSecret(answer.value.one_time_password ?? null);
    await client.invalidateQueries({ queryKey: keys.users });
  };
  return (
    <Page
      title={t("page.users")}
      tools={
        <Button look="primary" onPress={() => setAdding(true)}>
          <UserPlus size={16} aria-hidden />
          {t("users.add")}
        </Button>
      }
    >
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <table>
        <caption className="sr-only">{t("page.users")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("users.name")}</th>
            <th scope="col">{t("users.org")}</th>
            <th scope="col">{t("users.profile")}</th>
            <th scope="col">{t("users.state")}</th>
            <th scope="col">{t("users.lastLogin")}</th>
            <th scope="col">{t("common.actions")}</th>
          </tr>
        </thead>
        <tbody>
          {((list.data ?? []) as UserNow[]).map((user) => {
            const org = orgs.data?.find((one) => one.id === user.org_id);
            const enabled = !user.disabled;
            return (
              <tr key={user.id}>
                <td>
                  {user.name}
                  <div className="text-xs text-muted">{user.user_name}</div>
                </td>
                <td>{org === undefined ? "–" : name(org)}</td>
                <td>
                  {`${user.profile} · ${t(`profile.${user.profile}`, { defaultValue: "" })}`}
                  {(user.more_profiles ?? []).length > 0 ? (
                    <div className="text-xs text-muted">{user.more_profiles.join(" ")}</div>
                  ) : null}
                </td>
                <td>
                  <Badge tone={enabled ? "ok" : "muted"} icon={enabled ? UserCheck : UserX}>
                    {enabled ? t("users.enabled") : t("users.disabled")}
                  </Badge>
                  {(user.lacks ?? []).length > 0 ? (
                    <div className="mt-1 text-xs text-warn">
                      {t("users.lacks")}: {user.lacks.map((one) => t(`lack.${one}`, { defaultValue: one })).join(", ")}
                      {user.grace_until !== undefined ? ` (${t("users.grace", { day: when(user.grace_until) })})` : ""}
                    </div>
                  ) : null}
                </td>
                <td className="tabular-nums">{when(user.last_used_at)}</td>
                <td>
                  <div className="flex gap-1.5">
                    <Button onPress={() => setEditing(user)}>{t("users.edit")}</Button>
                    <Button onPress={() => void patch(user.id, { reset_password: true })} isDisabled={!enabled}>
                      {t("users.reset")}
                    </Button>
                    <Button
                      look={enabled ? "danger" : "plain"}
                      isDisabled={user.id === session.user.id}
                      onPress={() => void patch(user.id, { disabled: enabled })}
                    >
                      {enabled ? t("users.disable") : t("users.enable")}
                    </Button>
                  </div>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {editing !== null ? <EditUser user={editing} onClose={() => setEditing(null)} /> : null}
      {adding ? <AddUser onClose={() => setAdding(false)} onSecret={setSecret} /> : null}
      {secret !== null ? <OneTime secret={secret} onClose={() => setSecret(null)} /> : null}
    </Page>
  );
}
