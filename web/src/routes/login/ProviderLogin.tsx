import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { unwrap } from "../../api/http";
import { identity } from "../../api/identity";
import { keys } from "../../api/keys";
import type { Session } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Busy, Button, Notice } from "../../components/ui";
import { answerOf, ANSWER_PAGE, takeAnswer } from "./answer";

/** The button for the identity provider, where there is one. */
export function ProviderLogin() {
  const { t, problem } = useWords();
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const ways = useQuery({
    queryKey: keys.loginWays,
    queryFn: async () => unwrap(await identity.ways()),
    staleTime: 60_000,
  });
  const provider = ways.data?.provider ?? null;
  if (provider === null) return null;
  const begin = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    const answer = await identity.beginProvider();
    if (answer.ok) window.location.assign(answer.value.address);
    else {
      setBusy(false);
      setError(problem(answer.problem));
    }
  };
  return (
    <div className="flex flex-col gap-3 border-t border-line pt-4">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <Button onPress={() => void begin()} isDisabled={busy} className="!min-h-9">
        {t("login.provider", { name: provider })}
      </Button>
    </div>
  );
}

/** What the provider brought back, handed on once; the address is cleared before anything else. */
export function ProviderAnswer({ onSession }: { onSession: (session: Session) => void }) {
  const { t, problem } = useWords();
  const [error, setError] = useState<string | null>(null);
  const [waiting, setWaiting] = useState(() => window.location.pathname === ANSWER_PAGE);
  useEffect(() => {
    const found = takeAnswer();
    if (found === null) return;
    window.history.replaceState(null, "", "/");
    void (async () => {
      const answer = answerOf(found);
      if (answer === null) {
        setWaiting(false);
        setError(t("problem.provider_refused"));
        return;
      }
      const ended = await identity.endProvider(answer);
      setWaiting(false);
      if (ended.ok) onSession(ended.value);
      else setError(problem(ended.problem));
    })();
  }, [onSession, problem, t]);
  if (error !== null) return <Notice tone="bad">{error}</Notice>;
  return waiting ? <Busy label={t("login.busy")} /> : null;
}
