import { useState } from "react";
import { machines } from "../../api/machines";
import { keys } from "../../api/keys";
import type { User } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Field, Notice, TextInput } from "../../components/ui";
import { fingerprintOf, fingerprintOfDer, holdsPrivateKey, notAfterOf, pemToDer } from "../../domain/certificate";

/** Notes a certificate: from its PEM file, which stays in the browser, or by its fingerprint. */
export function AddCertificate({ machine, onClose }: { machine: User; onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error } = useAct([keys.certificates]);
  const [name, setName] = useState("");
  const [fingerprint, setFingerprint] = useState("");
  const [lastDay, setLastDay] = useState("");
  const [note, setNote] = useState<{ tone: "warn" | "bad"; text: string } | null>(null);
  const read = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    const text = await file.text();
    const der = pemToDer(text);
    if (der === null) {
      setNote({ tone: "bad", text: t("machines.notPem") });
      return;
    }
    const found = await fingerprintOfDer(der);
    const until = notAfterOf(der);
    setNote(
      holdsPrivateKey(text)
        ? { tone: "warn", text: t("machines.keyInside") }
        : found === null
          ? { tone: "bad", text: t("machines.noDigest") }
          : null,
    );
    if (found !== null) setFingerprint(found);
    if (until !== null) setLastDay(new Date(until).toISOString().slice(0, 10));
  };
  const plain = fingerprintOf(fingerprint);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (plain === null) return;
    const body = { name: name.trim(), fingerprint: plain, ends_at: `${lastDay}T00:00:00Z` };
    void act(() => machines.note(machine.id, body), onClose);
  };
  return (
    <Modal title={`${t("machines.addCertificate")}: ${machine.name}`} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        {note !== null ? <Notice tone={note.tone}>{note.text}</Notice> : null}
        <Field label={t("machines.file")} hint={t("machines.fileHint")}>
          {({ id, describedBy }) => (
            <input
              id={id}
              aria-describedby={describedBy}
              type="file"
              accept=".pem,.crt,.cer,.txt"
              className="field"
              onChange={(event) => void read(event.target.files?.[0])}
            />
          )}
        </Field>
        <TextInput
          label={t("machines.fingerprint")}
          hint={t("machines.fingerprintHint")}
          error={fingerprint !== "" && plain === null ? t("fieldProblem.not_a_fingerprint") : null}
          required
          autoComplete="off"
          spellCheck={false}
          value={fingerprint}
          onChange={(event) => setFingerprint(event.target.value)}
        />
        <TextInput
          label={t("machines.name")}
          hint={t("machines.nameHint")}
          required
          maxLength={60}
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <TextInput
          label={t("machines.until")}
          hint={t("machines.untilHint")}
          type="date"
          required
          value={lastDay}
          onChange={(event) => setLastDay(event.target.value)}
        />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={plain === null}>
            {t("machines.addCertificate")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
