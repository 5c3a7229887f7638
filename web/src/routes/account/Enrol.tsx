import { useQuery } from "@tanstack/react-query";
import { KeyRound, Smartphone } from "lucide-react";
import { useState } from "react";
import { unwrap } from "../../api/http";
import { identity, type TotpBegun } from "../../api/identity";
import { keys } from "../../api/keys";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Button, Notice, TextInput } from "../../components/ui";
import { keysWork, makeKey } from "../../domain/webauthn";

/** Enrols an authenticator app or a security key; hands on the recovery codes that came with it. */
export function Enrol({ onEnrolled }: { onEnrolled: (codes: string[]) => void }) {
  const { t, problem } = useWords();
  const session = useSession();
  const asked = useQuery({
    queryKey: keys.factors,
    queryFn: async () => unwrap(await identity.factors()),
    staleTime: 0,
  });
  const [begun, setBegun] = useState<TotpBegun | null>(null);
  const [code, setCode] = useState("");
  const [error, setError] = useState<string | null>(null);
  const offered = asked.data?.offered ?? [];
  const beginTotp = async (): Promise<void> => {
    setError(null);
    const answer = await identity.beginTotp(t("factor.app"));
    if (answer.ok) setBegun(answer.value);
    else setError(problem(answer.problem));
  };
  const key = async (): Promise<void> => {
    setError(null);
    const challenge = await identity.beginKey();
    if (!challenge.ok) {
      setError(problem(challenge.problem));
      return;
    }
    const user = { id: session.user.id, name: session.user.user_name };
    const made = await makeKey(challenge.value, user);
    if (made === null) {
      setError(t("factor.keyCancelled"));
      return;
    }
    const answer = await identity.endKey(t("factor.key"), made);
    if (answer.ok) onEnrolled(answer.value.recovery_codes);
    else setError(problem(answer.problem));
  };
  const confirm = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    if (begun === null) return;
    setError(null);
    const answer = await identity.endTotp(begun.id, code);
    setCode("");
    if (answer.ok) {
      setBegun(null);
      onEnrolled(answer.value.recovery_codes);
    } else setError(problem(answer.problem));
  };
  return (
    <div className="flex flex-col gap-3">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {begun === null ? (
        <div className="flex flex-wrap gap-2">
          {offered.includes("webauthn") && keysWork() ? (
            <Button look="primary" onPress={() => void key()}>
              <KeyRound size={15} aria-hidden />
              {t("factor.addKey")}
            </Button>
          ) : null}
          {offered.includes("totp") ? (
            <Button onPress={() => void beginTotp()}>
              <Smartphone size={15} aria-hidden />
              {t("factor.addApp")}
            </Button>
          ) : null}
        </div>
      ) : (
        <form onSubmit={(event) => void confirm(event)} className="flex flex-col gap-3">
          <p>{t("factor.scan")}</p>
          <img
            src={`data:image/svg+xml;base64,${btoa(begun.qr_svg)}`}
            alt={t("factor.qr")}
            width={220}
            height={220}
            className="self-center rounded bg-white"
          />
          <p className="text-xs text-muted">
            {t("factor.typeSecret")} <span className="font-mono break-all select-all">{begun.secret}</span>
          </p>
          <TextInput
            label={t("factor.code")}
            name="code"
            autoComplete="one-time-code"
            inputMode="numeric"
            required
            autoFocus
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
          <div className="flex justify-end gap-2">
            <Button onPress={() => setBegun(null)}>{t("common.cancel")}</Button>
            <Button look="primary" type="submit">
              {t("factor.confirm")}
            </Button>
          </div>
        </form>
      )}
    </div>
  );
}
