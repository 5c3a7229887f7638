import type { Session } from "../../api/types";
import { useWords } from "../../app/useWords";
import { LANGUAGES, setLanguage } from "../../i18n";
import { LoginForm } from "./LoginForm";
import { ProviderAnswer, ProviderLogin } from "./ProviderLogin";

export function LoginPage({ onSession }: { onSession: (session: Session) => void }) {
  const { t, language } = useWords();
  return (
    <main className="flex h-full flex-col items-center justify-center gap-6 p-6">
      <div className="flex items-center gap-3">
        <img src="/favicon.svg" alt="" width={44} height={44} />
        <div>
          <h1 className="text-2xl leading-7 font-semibold tracking-wide">Belfry</h1>
          <p className="text-muted">{t("login.product")}</p>
        </div>
      </div>
      <div className="flex w-[360px] max-w-full flex-col gap-4 rounded-lg border border-line bg-panel p-6">
        <ProviderAnswer onSession={onSession} />
        <LoginForm onSession={onSession} />
        <ProviderLogin />
      </div>
      <div role="group" aria-label={t("shell.language")} className="flex gap-1">
        {LANGUAGES.map((one) => (
          <button
            key={one}
            type="button"
            lang={one}
            aria-pressed={language === one}
            onClick={() => setLanguage(one)}
            className={`min-h-[30px] rounded px-3 ${language === one ? "bg-raised text-text" : "text-muted hover:text-text"}`}
          >
            {t(`language.${one}`)}
          </button>
        ))}
      </div>
      <p className="max-w-[60ch] text-center text-xs text-muted">{t("login.logged")}</p>
    </main>
  );
}
