import { useState } from "react";
import { gated } from "../../api/calls";
import { keys } from "../../api/keys";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { SpanFields, useSpanFields } from "../../components/SpanFields";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { useWhyFields, WhyFields } from "../../components/WhyFields";
import { POLICE_READS, readsPlates } from "../../domain/camera";
import { toWire } from "../../domain/time";

const WHAT = ["footage", "reads"] as const;

/** The proposal to keep hours of a camera, its footage or the police reads made at it, behind the magistrate's gate. */
export function AddGated({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error, setError } = useAct([keys.gated]);
  const span = useSpanFields({}, 60, 0);
  const reason = useWhyFields();
  const [magistrate, setMagistrate] = useState("");
  const [wanted, setWanted] = useState<(typeof WHAT)[number]>("footage");
  const { chosen, from, to } = span;
  // Another camera may read no plates.
  const hasReads = chosen !== undefined && readsPlates(chosen);
  const what = hasReads ? wanted : "footage";
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (from === null || to === null || chosen === undefined) {
      setError(t("moment.wrong"));
      return;
    }
    const reference = magistrate.trim() === "" ? {} : { magistrate_ref: magistrate.trim() };
    const kept = what === "reads" ? { class: POLICE_READS } : {};
    const wish = { camera_id: chosen.id, ...kept, from: toWire(from), to: toWire(to) };
    void act(() => gated.propose({ ...wish, purpose: { ...reason.purpose, ...reference } }), onClose);
  };
  return (
    <Modal title={t("gated.addTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SpanFields fields={span} toLabel={t("gated.to")} />
        {hasReads ? (
          <SelectInput
            label={t("gated.what")}
            value={what}
            onChange={(event) => setWanted(event.target.value as (typeof WHAT)[number])}
            options={WHAT.map((one) => ({ value: one, label: t(`gatedWhat.${one}`) }))}
          />
        ) : null}
        <p className="text-xs text-muted">{t("gated.hoursHint")}</p>
        <WhyFields fields={reason} caseLabel={t("exports.caseRef")} needsCase />
        <TextInput
          label={t("gated.magistrate")}
          maxLength={64}
          value={magistrate}
          onChange={(event) => setMagistrate(event.target.value)}
        />
        <p className="text-xs text-muted">{what === "reads" ? t("gated.sendHintReads") : t("gated.sendHint")}</p>
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={chosen === undefined}>
            {t("gated.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
