import type { Session } from "../../api/types";
import { ChangePassword } from "../../app/ChangePassword";
import { useWords } from "../../app/useWords";

/** After a one-time password nothing else is allowed: set one of your own first. */
export function NewPassword({ onSession }: { onSession: (session: Session) => void }) {
  const { t } = useWords();
  return (
    <main id="main" className="flex h-full flex-col items-center justify-center gap-4 p-6">
      <div className="flex w-[380px] max-w-full flex-col gap-3 rounded-lg border border-line bg-panel p-6">
        <h1>{t("login.newPassword")}</h1>
        <p className="text-muted">{t("login.newPasswordWhy")}</p>
        <ChangePassword startOpen onSession={onSession} />
      </div>
    </main>
  );
}
