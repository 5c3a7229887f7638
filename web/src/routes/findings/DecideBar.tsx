import { useState } from "react";
import type { FindingVerdict } from "../../api/calls";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button, Key, SelectInput, TextInput } from "../../components/ui";

type Decide = (verdict: FindingVerdict, reason: string | null) => void;

const REASONS = ["plate_misread", "wrong_vehicle", "registry_wrong", "exempt", "picture_unusable", "other"] as const;

export function DecideBar({
  busy,
  mayApprove,
  rejecting,
  onRejecting,
  onDecide,
}: {
  busy: boolean;
  /** Not whoever approved it already: the second person is another. */
  mayApprove: boolean;
  rejecting: boolean;
  onRejecting: (open: boolean) => void;
  onDecide: Decide;
}) {
  const { t } = useWords();
  return (
    <div role="group" aria-label={t("findings.decide")} className="flex flex-wrap gap-2">
      {mayApprove ? (
        <Button look="primary" isPending={busy} onPress={() => onDecide("approve", null)}>
          <Key>1</Key> {t("findings.approve")}
        </Button>
      ) : null}
      <Button look="danger" isPending={busy} onPress={() => onRejecting(true)}>
        <Key>2</Key> {t("findings.reject")}
      </Button>
      <Button isPending={busy} onPress={() => onDecide("unclear", null)}>
        <Key>3</Key> {t("findings.unclear")}
      </Button>
      <Modal title={t("findings.rejectTitle")} open={rejecting} onClose={() => onRejecting(false)}>
        <RejectForm onCancel={() => onRejecting(false)} onDecide={onDecide} />
      </Modal>
    </div>
  );
}

function RejectForm({ onCancel, onDecide }: { onCancel: () => void; onDecide: Decide }) {
  const { t } = useWords();
  const [reason, setReason] = useState<(typeof REASONS)[number]>("plate_misread");
  const [text, setText] = useState("");
  const [tried, setTried] = useState(false);
  const lacking = reason === "other" && text.trim() === "";
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (!lacking) onDecide("reject", text.trim() === "" ? reason : `${reason}: ${text.trim()}`);
      }}
    >
      <SelectInput
        label={t("findings.rejectReason")}
        autoFocus
        value={reason}
        onChange={(event) => setReason(event.target.value as (typeof REASONS)[number])}
        options={REASONS.map((one) => ({ value: one, label: t(`rejectReason.${one}`) }))}
      />
      <TextInput
        label={t("findings.rejectText")}
        error={tried && lacking ? t("findings.rejectTextMissing") : null}
        value={text}
        maxLength={300}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="flex justify-end gap-2">
        <Button onPress={onCancel}>{t("common.cancel")}</Button>
        <Button look="danger" type="submit">
          {t("findings.reject")}
        </Button>
      </div>
    </form>
  );
}

/** Taking the own decision back: with a reason, and only while the queue allows it. */
export function UndoBar({ busy, onDecide }: { busy: boolean; onDecide: Decide }) {
  const { t } = useWords();
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [tried, setTried] = useState(false);
  const lacking = text.trim() === "";
  return (
    <div>
      <Button isPending={busy} onPress={() => setOpen(true)}>
        {t("findings.undo")}
      </Button>
      <Modal title={t("findings.undoTitle")} open={open} onClose={() => setOpen(false)}>
        <form
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            setTried(true);
            if (lacking) return;
            setOpen(false);
            onDecide("undo", text.trim());
          }}
        >
          <p className="text-muted">{t("findings.undoWhat")}</p>
          <TextInput
            label={t("findings.undoReason")}
            autoFocus
            error={tried && lacking ? t("findings.rejectTextMissing") : null}
            value={text}
            maxLength={300}
            onChange={(event) => setText(event.target.value)}
          />
          <div className="flex justify-end gap-2">
            <Button onPress={() => setOpen(false)}>{t("common.cancel")}</Button>
            <Button look="primary" type="submit">
              {t("findings.undo")}
            </Button>
          </div>
        </form>
      </Modal>
    </div>
  );
}
