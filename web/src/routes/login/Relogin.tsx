import type { Session } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { LoginForm } from "./LoginForm";

/** The session ended while somebody was at work: log in again over the running wall. */
export function Relogin({ userName, onSession }: { userName: string; onSession: (session: Session) => void }) {
  const { t } = useWords();
  return (
    <Modal title={t("login.again")} open>
      <p className="text-muted">{t("login.againWhy")}</p>
      <LoginForm userName={userName} onSession={onSession} />
    </Modal>
  );
}
