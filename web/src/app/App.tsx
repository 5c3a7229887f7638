import { useQueryClient } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect } from "react";
import { I18nProvider } from "react-aria-components";
import { listen } from "../api/events";
import { useSessionQuery } from "../api/hooks";
import { sessionLost } from "../api/http";
import { keys } from "../api/keys";
import type { Session } from "../api/types";
import { Busy, Notice } from "../components/ui";
import { setLanguage } from "../i18n";
import { LoginPage } from "../routes/login/LoginPage";
import { NewPassword } from "../routes/login/NewPassword";
import { Relogin } from "../routes/login/Relogin";
import { SecondFactor } from "../routes/login/SecondFactor";
import { StepUpDialog } from "../routes/login/StepUpDialog";
import { router } from "./router";
import { SessionContext } from "./sessionContext";
import { useStore } from "./useStore";
import { useWords } from "./useWords";
import { WhyDialog } from "./WhyDialog";

const LOCALE = { nl: "nl-BE", fr: "fr-BE", en: "en-GB" } as const;

export function App() {
  const { t, language, problem } = useWords();
  const client = useQueryClient();
  const asked = useSessionQuery();
  const begin = (session: Session): void => {
    sessionLost.set(false);
    setLanguage(session.user.language);
    client.setQueryData(keys.session, session);
  };
  const known = asked.data?.user.language;
  useEffect(() => {
    if (known !== undefined) setLanguage(known);
  }, [known]);

  let content;
  if (asked.data !== undefined) content = <Inside session={asked.data} onSession={begin} />;
  else if (asked.isPending) content = <Busy label={t("common.loading")} />;
  else if (asked.error.message === "unreachable") {
    content = (
      <div className="p-6">
        <Notice tone="bad">{problem(asked.error)}</Notice>
      </div>
    );
  } else content = <LoginPage onSession={begin} />;
  return <I18nProvider locale={LOCALE[language]}>{content}</I18nProvider>;
}

/** Everything behind the log-in. It stays mounted when the session ends: the overlay lies over it, the wall runs on. */
function Inside({ session, onSession }: { session: Session; onSession: (session: Session) => void }) {
  const client = useQueryClient();
  const lost = useStore(sessionLost);
  const mustChange = session.password_change_required === true || session.pending !== undefined;
  useEffect(() => (lost || mustChange ? undefined : listen(client)), [client, lost, mustChange]);
  const again = (next: Session): void => {
    // Another person at the desk starts with a clean screen.
    if (next.user.id !== session.user.id) window.location.assign("/");
    onSession(next);
    void client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "session" });
  };
  return (
    <SessionContext value={session}>
      {session.password_change_required === true ? (
        <NewPassword onSession={onSession} />
      ) : session.pending !== undefined ? (
        <SecondFactor session={session} onSession={again} />
      ) : (
        <RouterProvider router={router} context={{ session }} />
      )}
      <WhyDialog />
      <StepUpDialog />
      {lost ? <Relogin userName={session.user.user_name ?? ""} onSession={again} /> : null}
    </SessionContext>
  );
}
