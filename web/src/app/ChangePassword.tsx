import { KeyRound } from "lucide-react";
import { useState } from "react";
import { session } from "../api/calls";
import type { Session } from "../api/types";
import { Button, Notice, TextInput } from "../components/ui";
import { useWords } from "./useWords";

/** Inside the desk settings: a new password of one's own. */
export function ChangePassword({
  startOpen = false,
  onSession,
}: {
  startOpen?: boolean;
  onSession?: (session: Session) => void;
}) {
  const { t, problem } = useWords();
  const [open, setOpen] = useState(startOpen);
  const [before, setBefore] = useState("");
  const [after, setAfter] = useState("");
  const [note, setNote] = useState<{ tone: "ok" | "bad"; text: string } | null>(null);
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    const answer = await session.patch({ password: { old: before, new: after } });
    setBefore("");
    setAfter("");
    const fields = answer.ok
      ? []
      : answer.problem.errors.map((one) => t(`fieldProblem.${one.problem}`, { defaultValue: one.problem }));
    setNote(
      answer.ok
        ? { tone: "ok", text: t("shell.passwordDone") }
        : { tone: "bad", text: [problem(answer.problem), ...fields].join(" ") },
    );
    if (!answer.ok) return;
    setOpen(startOpen);
    onSession?.(answer.value);
  };
  return (
    <div className="flex flex-col gap-2">
      {note !== null ? <Notice tone={note.tone}>{note.text}</Notice> : null}
      {open ? (
        <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-2">
          <TextInput
            label={t("shell.passwordOld")}
            type="password"
            autoComplete="current-password"
            required
            value={before}
            onChange={(event) => setBefore(event.target.value)}
          />
          <TextInput
            label={t("shell.passwordNew")}
            hint={t("shell.passwordHint")}
            type="password"
            autoComplete="new-password"
            required
            minLength={15}
            value={after}
            onChange={(event) => setAfter(event.target.value)}
          />
          <Button look="primary" type="submit">
            {t("shell.password")}
          </Button>
        </form>
      ) : (
        <Button onPress={() => setOpen(true)}>
          <KeyRound size={15} aria-hidden />
          {t("shell.password")}
        </Button>
      )}
    </div>
  );
}
