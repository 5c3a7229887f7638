import { useState } from "react";
import { session as sessionCalls } from "../../api/calls";
import type { Session } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Button } from "../../components/ui";
import { Enrol } from "../account/Enrol";
import { RecoveryCodes } from "../account/RecoveryCodes";
import { ProofForm } from "./ProofForm";

/** After the password: show the second factor, or enrol one where the profile needs it. */
export function SecondFactor({ session, onSession }: { session: Session; onSession: (session: Session) => void }) {
  const { t } = useWords();
  const [codes, setCodes] = useState<string[] | null>(null);
  const hardware = session.pending === "hardware_enrolment";
  const enrols = hardware || session.pending === "enrolment" || codes !== null;
  const leave = async (): Promise<void> => {
    await sessionCalls.logOut();
    window.location.assign("/");
  };
  const goOn = async (): Promise<void> => {
    const answer = await sessionCalls.get();
    if (answer.ok) onSession(answer.value);
  };
  const enrolled = (made: string[]): void => {
    if (made.length > 0) setCodes(made);
    else void goOn();
  };
  return (
    <main id="second-factor" className="flex h-full flex-col items-center justify-center gap-4 p-6">
      <div className="flex w-[420px] max-w-full flex-col gap-3 rounded-lg border border-line bg-panel p-6">
        <h1>{enrols ? t("factor.enrolTitle") : t("factor.title")}</h1>
        {codes !== null ? (
          <RecoveryCodes codes={codes} onClose={() => void goOn()} />
        ) : enrols ? (
          <>
            <p className="text-muted">{hardware ? t("factor.hardwareWhy") : t("factor.enrolWhy")}</p>
            <Enrol onEnrolled={enrolled} />
          </>
        ) : (
          <ProofForm onShown={onSession} />
        )}
        {codes === null ? (
          <Button look="quiet" onPress={() => void leave()}>
            {t("shell.logOut")}
          </Button>
        ) : null}
      </div>
    </main>
  );
}
