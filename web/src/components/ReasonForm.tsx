import { useState, type ReactNode } from "react";
import { useWords } from "../app/useWords";
import { Button, TextInput } from "./ui";

/** A step that wants a reason: at least ten characters, sent or left. */
export function ReasonForm({
  label,
  send,
  look,
  busy,
  onSend,
  onCancel,
  children,
}: {
  label: string;
  send: string;
  look: "primary" | "danger";
  busy: boolean;
  onSend: (reason: string) => void;
  onCancel: () => void;
  children?: ReactNode;
}) {
  const { t } = useWords();
  const [reason, setReason] = useState("");
  return (
    <form
      className="flex flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        onSend(reason.trim());
      }}
    >
      <TextInput
        label={label}
        required
        minLength={10}
        maxLength={500}
        autoFocus
        autoComplete="off"
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      {children}
      <div className="flex justify-end gap-2">
        <Button onPress={onCancel}>{t("common.cancel")}</Button>
        <Button look={look} type="submit" isPending={busy}>
          {send}
        </Button>
      </div>
    </form>
  );
}
