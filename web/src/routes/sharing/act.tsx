// What the cards of sharing and oversight have in common: an action with its error, and a small form that asks for a reason.

import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type ReactNode } from "react";
import type { Result } from "../../api/http";
import { SHARING } from "../../api/sharing";
import { useWords } from "../../app/useWords";
import { Button, Notice, TextInput } from "../../components/ui";

export function useAct(onDone?: () => void) {
  const { problem } = useWords();
  const client = useQueryClient();
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // At once, as in `app/useAct`: Enter held down in a line sends it again and again.
  const running = useRef(false);
  const act = async (action: () => Promise<Result<unknown>>): Promise<void> => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    const answer = await action();
    running.current = false;
    setBusy(false);
    setError(answer.ok ? null : problem(answer.problem));
    if (answer.ok) onDone?.();
    await client.invalidateQueries({ queryKey: SHARING });
  };
  return { act, busy, error, setError };
}

/** A step that needs a reason: a button that opens a line to write it on. */
export function ReasonStep({
  label,
  danger = false,
  authority = false,
  run,
}: {
  label: string;
  danger?: boolean;
  /** Whether the reference of a decision is asked for as well. */
  authority?: boolean;
  run: (reason: string, authority: string) => Promise<Result<unknown>>;
}) {
  const { t } = useWords();
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState("");
  const [reference, setReference] = useState("");
  const { act, busy, error } = useAct(() => setOpen(false));
  const look = danger ? "danger" : "plain";
  if (!open) {
    return (
      <Button look={look} onPress={() => setOpen(true)}>
        {label}
      </Button>
    );
  }
  return (
    <form
      className="flex w-full flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        void act(() => run(reason.trim(), reference.trim()));
      }}
    >
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <TextInput
        label={t("sharing.reason")}
        required
        minLength={10}
        maxLength={500}
        autoFocus
        autoComplete="off"
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      {authority ? (
        <TextInput
          label={t("sharing.authority")}
          maxLength={80}
          value={reference}
          onChange={(event) => setReference(event.target.value)}
        />
      ) : null}
      <div className="flex justify-end gap-2">
        <Button onPress={() => setOpen(false)}>{t("common.cancel")}</Button>
        <Button look={danger ? "danger" : "primary"} type="submit" isPending={busy}>
          {label}
        </Button>
      </div>
    </form>
  );
}

export function Section({ title, tools, children }: { title: string; tools?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-2 px-4 pt-4">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h2 className="text-[15px]">{title}</h2>
        <div className="flex flex-wrap gap-2">{tools}</div>
      </div>
      {children}
    </section>
  );
}

export function Card({ label, children }: { label: string; children: ReactNode }) {
  return (
    <li>
      <article aria-label={label} className="flex flex-col gap-1.5 rounded-lg border border-line bg-panel p-4">
        {children}
      </article>
    </li>
  );
}

/** Cameras to choose several of, by code and name. */
export function CameraChoice({
  label,
  cameras,
  value,
  onChange,
}: {
  label: string;
  cameras: readonly { id: string; label: string }[];
  value: readonly string[];
  onChange: (ids: string[]) => void;
}) {
  return (
    <label className="flex flex-col gap-1 text-muted">
      {label}
      <select
        multiple
        required
        size={6}
        className="field text-text"
        value={[...value]}
        onChange={(event) => onChange([...event.target.selectedOptions].map((one) => one.value))}
      >
        {cameras.map((one) => (
          <option key={one.id} value={one.id}>
            {one.label}
          </option>
        ))}
      </select>
    </label>
  );
}
