import { useQuery } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { unwrap, type Problem } from "../../api/http";
import { identity, type Proof } from "../../api/identity";
import { keys } from "../../api/keys";
import type { Session } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Busy, Button, Notice, TextInput } from "../../components/ui";
import { askKey, keysWork } from "../../domain/webauthn";

/** Asks for a second factor of the account: a code, a security key, or a recovery code. */
export function ProofForm({ onShown, onCancel }: { onShown: (session: Session) => void; onCancel?: () => void }) {
  const { t, problem } = useWords();
  const asked = useQuery({
    queryKey: keys.factors,
    queryFn: async () => unwrap(await identity.factors()),
    staleTime: 0,
  });
  const [code, setCode] = useState("");
  const [recovery, setRecovery] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const show = async (proof: Proof): Promise<void> => {
    setBusy(true);
    const answer = await identity.stepUp(proof);
    setBusy(false);
    setCode("");
    if (answer.ok) onShown(answer.value);
    else setError(problem(answer.problem));
  };
  const withKey = async (): Promise<void> => {
    setError(null);
    const challenge = await identity.stepUpKey();
    if (!challenge.ok) {
      setError(problem(challenge.problem as Problem));
      return;
    }
    const key = await askKey(challenge.value);
    if (key === null) setError(t("factor.keyCancelled"));
    else await show({ key });
  };
  if (asked.isPending) return <Busy label={t("common.loading")} />;
  const kinds = asked.data?.kinds ?? [];
  // Only a security key will do: where no app can be enrolled, no code opens anything.
  const keysAlone = kinds.includes("webauthn") && !(asked.data?.offered ?? []).includes("totp");
  if (kinds.length === 0) return <Notice tone="bad">{t("factor.none")}</Notice>;
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    setError(null);
    void show(recovery ? { recovery_code: code.trim() } : { code: code.trim() });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {kinds.includes("webauthn") && keysWork() ? (
        <Button look="primary" onPress={() => void withKey()} isDisabled={busy}>
          <KeyRound size={15} aria-hidden />
          {t("factor.useKey")}
        </Button>
      ) : null}
      {kinds.includes("totp") || recovery ? (
        <TextInput
          label={recovery ? t("factor.recoveryCode") : t("factor.code")}
          hint={recovery ? t("factor.recoveryHint") : t("factor.codeHint")}
          name="code"
          autoComplete="one-time-code"
          inputMode={recovery ? "text" : "numeric"}
          required
          autoFocus
          value={code}
          onChange={(event) => setCode(event.target.value)}
        />
      ) : null}
      <div className="flex flex-wrap justify-end gap-2">
        {kinds.includes("totp") || recovery || !keysAlone ? (
          <Button look="quiet" onPress={() => setRecovery((before) => !before)}>
            {recovery ? t("factor.withCode") : t("factor.withRecovery")}
          </Button>
        ) : null}
        {onCancel !== undefined ? <Button onPress={onCancel}>{t("common.cancel")}</Button> : null}
        {keysAlone ? null : (
          <Button look="primary" type="submit" isDisabled={busy || code.trim() === ""}>
            {t("factor.go")}
          </Button>
        )}
      </div>
    </form>
  );
}
