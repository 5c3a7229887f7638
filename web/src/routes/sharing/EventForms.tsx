import { useState } from "react";
import { useCameras } from "../../api/hooks";
import { sharing } from "../../api/sharing";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { defaultPurpose, PURPOSES, type PurposeCode } from "../../domain/purpose";
import { HOUR, toWire } from "../../domain/time";
import { CameraChoice, useAct } from "./act";

const KINDS = ["event", "crisis", "incident"] as const;

/** Activates an event over a list of cameras. */
export function ActivateForm({ onClose }: { onClose: () => void }) {
  const { t, name } = useWords();
  const cameras = useCameras();
  const { act, busy, error, setError } = useAct(onClose);
  const [kind, setKind] = useState<string>("event");
  const [title, setTitle] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const [authority, setAuthority] = useState("");
  const [reason, setReason] = useState("");
  const [from, setFrom] = useState<number | null>(() => Date.now());
  const [to, setTo] = useState<number | null>(() => Date.now() + 6 * HOUR);
  const choice = (cameras.data ?? []).map((one) => ({ id: one.id, label: `${one.code} – ${name(one)}` }));
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (from === null || to === null) setError(t("moment.wrong"));
    else {
      const span = { from: toWire(from), to: toWire(to) };
      void act(() => sharing.activate({ kind, name: title, camera_ids: chosen, authority, reason, ...span }));
    }
  };
  return (
    <Modal title={t("events.activate")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SelectInput
          label={t("events.kind")}
          value={kind}
          onChange={(event) => setKind(event.target.value)}
          options={KINDS.map((one) => ({ value: one, label: t(`eventKind.${one}`) }))}
        />
        <TextInput
          label={t("events.name")}
          required
          maxLength={120}
          value={title}
          onChange={(event) => setTitle(event.target.value)}
        />
        <CameraChoice label={t("sharing.cameras")} cameras={choice} value={chosen} onChange={setChosen} />
        <TextInput
          label={t("sharing.authority")}
          required
          maxLength={80}
          value={authority}
          onChange={(event) => setAuthority(event.target.value)}
        />
        <TextInput
          label={t("sharing.reason")}
          required
          minLength={10}
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        <MomentInput label={t("span.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("span.to")} value={to} onChange={setTo} />
        <p className="text-xs text-muted">{t("events.dayHint")}</p>
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={chosen.length === 0}>
            {t("events.activate")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** Opens emergency access to cameras of others. */
export function BreakGlassForm({ onClose }: { onClose: () => void }) {
  const { t, name } = useWords();
  const { profile, org } = useSession();
  const cameras = useCameras();
  const { act, busy, error } = useAct(onClose);
  const [chosen, setChosen] = useState<string[]>([]);
  const [purpose, setPurpose] = useState<PurposeCode>(defaultPurpose(profile));
  const [reason, setReason] = useState("");
  const choice = (cameras.data ?? [])
    .filter((one) => one.owner.id !== org.id && one.state !== "retired")
    .map((one) => ({ id: one.id, label: `${one.code} – ${name(one)}` }));
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    const why = { code: purpose, justification: reason.trim(), case_ref: null };
    void act(() => sharing.breakGlass(chosen, why));
  };
  return (
    <Modal title={t("events.breakGlass")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Notice tone="warn">{t("events.breakGlassWarning")}</Notice>
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <CameraChoice label={t("sharing.cameras")} cameras={choice} value={chosen} onChange={setChosen} />
        <SelectInput
          label={t("why.purpose")}
          value={purpose}
          onChange={(event) => setPurpose(event.target.value as PurposeCode)}
          options={PURPOSES.map((one) => ({ value: one, label: t(`purpose.${one}`) }))}
        />
        <TextInput
          label={t("sharing.reason")}
          required
          minLength={10}
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="danger" type="submit" isPending={busy} isDisabled={chosen.length === 0}>
            {t("events.breakGlass")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
