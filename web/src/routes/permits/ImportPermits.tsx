import { useState } from "react";
import { keys } from "../../api/keys";
import { ENTRIES_MAX, permits, type Imported } from "../../api/permits";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Field, Notice, TextInput } from "../../components/ui";
import { COLUMNS, parsePermitFile, type PermitFile } from "./file";

/** Largest file that is read, bytes. */
const FILE_MAX = 1024 * 1024;

export interface Told {
  line: number;
  reason: string;
}

/** Lines that were not taken: what the server said of them, by the line of the file. */
export function toldLines(file: PermitFile, came: Imported): Told[] {
  return came.refused.map((one) => ({ line: file.lines[one.position] ?? 0, reason: one.reason }));
}

/** A file of the desk: every line counts for itself, and what was not taken is told by its line. */
export function ImportPermits({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error, setError } = useAct([keys.permits]);
  const [file, setFile] = useState<PermitFile | null>(null);
  const [why, setWhy] = useState("");
  const [came, setCame] = useState<Imported | null>(null);
  const count = file === null ? 0 : file.permits.length + file.listings.length;
  const choose = async (chosen: File | undefined): Promise<void> => {
    setFile(null);
    setCame(null);
    setError(null);
    if (chosen === undefined) return;
    if (chosen.size > FILE_MAX) {
      setError(t("permits.tooLong"));
      return;
    }
    const parsed = parsePermitFile(await chosen.text());
    if ("problem" in parsed) setError(t(`permits.fileProblem.${parsed.problem}`, { column: parsed.column }));
    else if (parsed.permits.length + parsed.listings.length > ENTRIES_MAX) setError(t("permits.tooMany"));
    else setFile(parsed);
  };
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (file !== null) void act(() => permits.take(why.trim(), file.permits, file.listings), setCame);
  };
  const bad = file === null ? [] : file.bad.map((one) => ({ ...one, reason: t(`permits.problem.${one.problem}`) }));
  const told =
    file === null || came === null ? bad : [...bad, ...toldLines(file, came)].toSorted((a, b) => a.line - b.line);
  return (
    <Modal title={t("permits.importTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <p className="text-xs text-muted wrap-anywhere">{t("permits.columns", { columns: COLUMNS.join(";") })}</p>
        <Field label={t("permits.file")}>
          {({ id }) => (
            <input
              id={id}
              type="file"
              accept=".csv,text/csv"
              onChange={(event) => void choose(event.target.files?.[0])}
            />
          )}
        </Field>
        {file !== null ? <p>{t("permits.ready", { count })}</p> : null}
        {came !== null ? (
          <Notice tone={told.length === 0 ? "ok" : "warn"}>
            {t("permits.taken", { permits: came.permits, listings: came.listings, refused: told.length })}
          </Notice>
        ) : null}
        {told.length > 0 ? (
          <ul className="max-h-48 overflow-auto text-sm" aria-label={t("permits.notTaken")}>
            {told.map((one) => (
              <li key={`${one.line} ${one.reason}`}>{t("permits.line", { line: one.line, reason: one.reason })}</li>
            ))}
          </ul>
        ) : null}
        {came === null ? (
          <TextInput
            label={t("permits.field.why")}
            required
            minLength={10}
            maxLength={500}
            autoComplete="off"
            value={why}
            onChange={(event) => setWhy(event.target.value)}
          />
        ) : null}
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{came === null ? t("common.cancel") : t("common.close")}</Button>
          {came === null ? (
            <Button look="primary" type="submit" isPending={busy} isDisabled={count === 0}>
              {t("permits.import")}
            </Button>
          ) : null}
        </div>
      </form>
    </Modal>
  );
}
