import { useState } from "react";
import { watch, type MatrixDiff } from "../../api/watch";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Field, Notice, TextInput } from "../../components/ui";
import { toWire } from "../../domain/time";
import { useAct } from "../sharing/act";
import { DiffView } from "./DiffView";

/** The whole text of a new version: first its difference, then it waits for a second person. */
export function DraftForm({ text: given, onClose }: { text: string; onClose: () => void }) {
  const { t, problem } = useWords();
  const [text, setText] = useState(given);
  const [reason, setReason] = useState("");
  const [at, setAt] = useState<number | null>(null);
  const [diff, setDiff] = useState<MatrixDiff | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const { act, busy, error } = useAct(onClose);
  const compare = async (): Promise<void> => {
    const answer = await watch.diff(text);
    setDiff(answer.ok ? answer.value : null);
    const words = answer.ok ? null : [problem(answer.problem), ...answer.problem.errors.map((one) => one.problem)];
    setWrong(words === null ? null : words.join(" "));
  };
  return (
    <Modal title={t("matrix.draft")} open onClose={onClose}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          void act(() => watch.propose(text, reason.trim(), at === null ? null : toWire(at)));
        }}
      >
        <p className="text-muted">{t("matrix.draftExplain")}</p>
        <Field label={t("matrix.text")}>
          {({ id }) => (
            <textarea
              id={id}
              className="field font-mono text-xs"
              rows={14}
              spellCheck={false}
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                setDiff(null);
              }}
            />
          )}
        </Field>
        {wrong !== null ? <Notice tone="bad">{wrong}</Notice> : null}
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        {diff !== null ? <DiffView diff={diff} /> : null}
        <TextInput
          label={t("sharing.reason")}
          required
          minLength={10}
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        <MomentInput label={t("matrix.activeAt")} value={at} onChange={setAt} />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button onPress={() => void compare()}>{t("matrix.compare")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={diff === null || diff.changes.length === 0}>
            {t("matrix.propose")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
