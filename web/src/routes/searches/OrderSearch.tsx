import { useState } from "react";
import { PLATE_MATCHES, type PlateMatch } from "../../api/calls";
import { gatedSearches } from "../../api/gatedSearches";
import { keys } from "../../api/keys";
import type { Camera } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { why } from "../../app/why";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { useWhyFields, WhyFields } from "../../components/WhyFields";
import { readsPlates } from "../../domain/camera";
import { toWire } from "../../domain/time";

/** The order of a search behind the gate. It opens nothing before somebody else agrees. */
export function OrderSearch({ cameras, onClose }: { cameras: readonly Camera[]; onClose: () => void }) {
  const { t, name } = useWords();
  const { act, busy, error, setError } = useAct([keys.gatedSearches]);
  const [plate, setPlate] = useState("");
  const [match, setMatch] = useState<PlateMatch>("exact");
  const [camera, setCamera] = useState("");
  const [from, setFrom] = useState<number | null>(null);
  const [to, setTo] = useState<number | null>(null);
  const reason = useWhyFields();
  const [magistrate, setMagistrate] = useState(why.get()?.magistrate_ref ?? "");
  // Also those that are out of service by now: what was read at them is still there.
  const reading = cameras.filter(
    (one) => one.relation === "own" && one.partner === null && one.state !== "draft" && readsPlates(one),
  );
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (plate.trim() === "" && camera === "") {
      setError(t("searches.plateOrCamera"));
      return;
    }
    if (from === null || to === null) {
      setError(t("searches.spanMissing"));
      return;
    }
    const wish = plate.trim() === "" ? {} : { plate: plate.trim(), match };
    const place = camera === "" ? {} : { camera_id: camera };
    const purpose = { ...reason.purpose, magistrate_ref: magistrate.trim() };
    void act(() => gatedSearches.order({ ...wish, ...place, from: toWire(from), to: toWire(to), purpose }), onClose);
  };
  return (
    <Modal title={t("searches.orderTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <TextInput
          label={t("searches.plate")}
          maxLength={24}
          autoComplete="off"
          spellCheck={false}
          value={plate}
          onChange={(event) => setPlate(event.target.value.toUpperCase())}
        />
        <SelectInput
          label={t("reads.match")}
          value={match}
          onChange={(event) => setMatch(event.target.value as PlateMatch)}
          options={PLATE_MATCHES.map((one) => ({ value: one, label: t(`plateMatch.${one}`) }))}
        />
        <SelectInput
          label={t("searches.camera")}
          value={camera}
          onChange={(event) => setCamera(event.target.value)}
          options={[
            { value: "", label: t("searches.allCameras") },
            ...reading.map((one) => ({ value: one.id, label: `${one.code} – ${name(one)}` })),
          ]}
        />
        <MomentInput label={t("span.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("searches.to")} value={to} onChange={setTo} />
        <WhyFields fields={reason} caseLabel={t("exports.caseRef")} needsCase />
        <TextInput
          label={t("why.magistrate")}
          required
          maxLength={64}
          value={magistrate}
          onChange={(event) => setMagistrate(event.target.value)}
        />
        <p className="text-xs text-muted">{t("searches.sendHint")}</p>
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy}>
            {t("searches.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
