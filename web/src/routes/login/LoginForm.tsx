import { useState } from "react";
import { session } from "../../api/calls";
import type { Session } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Button, Notice, TextInput } from "../../components/ui";

export function LoginForm({ userName = "", onSession }: { userName?: string; onSession: (session: Session) => void }) {
  const { t, problem } = useWords();
  const [user, setUser] = useState(userName);
  const [password, setPassword] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const answer = await session.logIn(user.trim(), password);
    setBusy(false);
    if (answer.ok) onSession(answer.value);
    else {
      setPassword("");
      setError(problem(answer.problem));
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-4">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <TextInput
        label={t("login.user")}
        name="username"
        autoComplete="username"
        required
        autoFocus={userName === ""}
        value={user}
        onChange={(event) => setUser(event.target.value)}
      />
      <TextInput
        label={t("login.password")}
        name="password"
        type="password"
        autoComplete="current-password"
        required
        autoFocus={userName !== ""}
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      <Button look="primary" type="submit" isDisabled={busy} className="!min-h-9">
        {busy ? t("login.busy") : t("login.go")}
      </Button>
    </form>
  );
}
