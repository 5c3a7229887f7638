import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Smartphone } from "lucide-react";
import { useState } from "react";
import { unwrap } from "../../api/http";
import { identity } from "../../api/identity";
import { keys } from "../../api/keys";
import { ChangePassword } from "../../app/ChangePassword";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Notice, Page } from "../../components/ui";
import { Enrol } from "./Enrol";
import { OwnNotices, OwnSessions } from "./OwnSessions";
import { RecoveryCodes } from "./RecoveryCodes";

/** The own account: profiles, second factors, password. */
export function AccountPage() {
  const { t, problem, when } = useWords();
  const client = useQueryClient();
  const session = useSession();
  const list = useQuery({ queryKey: keys.factors, queryFn: async () => unwrap(await identity.factors()) });
  const [codes, setCodes] = useState<string[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const again = (): Promise<void> => client.invalidateQueries({ queryKey: keys.factors });
  const remove = async (id: string): Promise<void> => {
    const answer = await identity.remove(id);
    setError(answer.ok ? null : factorProblem(answer.problem.errors[0]?.problem, problem(answer.problem)));
    await again();
  };
  const factorProblem = (word: string | undefined, text: string): string =>
    word === undefined ? text : `${text} ${t(`fieldProblem.${word}`, { defaultValue: word })}`;
  const renew = async (): Promise<void> => {
    const answer = await identity.renewRecovery();
    if (answer.ok) setCodes(answer.value.recovery_codes);
    else setError(problem(answer.problem));
    await again();
  };
  const profiles = session.profiles ?? [session.profile];
  const choose = async (profile: string): Promise<void> => {
    const answer = await identity.switchProfile(profile);
    // Everything on the screen belongs to the old profile.
    if (answer.ok) window.location.assign("/");
    else setError(problem(answer.problem));
  };
  return (
    <Page title={t("page.account")}>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <OwnNotices />
      {profiles.length > 1 ? (
        <section className="flex flex-col gap-2">
          <h2 className="font-semibold">{t("factor.profiles")}</h2>
          <div role="group" aria-label={t("factor.profiles")} className="flex flex-wrap gap-2">
            {profiles.map((one) => (
              <Button
                key={one}
                look={one === session.profile ? "primary" : "plain"}
                isDisabled={one === session.profile}
                onPress={() => void choose(one)}
              >
                {`${one} · ${t(`profile.${one}`, { defaultValue: one })}`}
              </Button>
            ))}
          </div>
        </section>
      ) : null}
      <section className="flex flex-col gap-3">
        <h2 className="font-semibold">{t("factor.list")}</h2>
        {list.isPending ? <Busy label={t("common.loading")} /> : null}
        {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
        <ul className="flex flex-col gap-2">
          {(list.data?.items ?? []).map((factor) => (
            <li key={factor.id} className="flex items-center gap-3">
              {factor.kind === "totp" ? <Smartphone size={16} aria-hidden /> : <KeyRound size={16} aria-hidden />}
              <span>
                {factor.name}
                <span className="block text-xs text-muted">
                  {t("factor.lastUse")} {when(factor.used_at)}
                </span>
              </span>
              <Button look="danger" onPress={() => void remove(factor.id)}>
                {t("factor.remove")}
              </Button>
            </li>
          ))}
        </ul>
        {codes !== null ? (
          <RecoveryCodes codes={codes} onClose={() => setCodes(null)} />
        ) : (
          <>
            <Enrol
              onEnrolled={(made) => {
                setCodes(made.length > 0 ? made : null);
                void again();
              }}
            />
            {(list.data?.items.length ?? 0) > 0 ? (
              <p className="flex items-center gap-3">
                {t("factor.recoveryLeft", { count: list.data?.recovery_left ?? 0 })}
                <Button onPress={() => void renew()}>{t("factor.renew")}</Button>
              </p>
            ) : null}
          </>
        )}
      </section>
      <OwnSessions />
      <section className="flex max-w-80 flex-col gap-2">
        <ChangePassword />
      </section>
    </Page>
  );
}
