import { useState } from "react";
import { keys } from "../../api/keys";
import { watchlist } from "../../api/watchlist";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Notice, TextInput } from "../../components/ui";
import { useWhyFields, WhyFields } from "../../components/WhyFields";
import { WATCH_PURPOSES } from "../../domain/purpose";
import { HOUR, toWire } from "../../domain/time";

/** The proposal of an entry; an urgent one lasts a day at most. */
export function AddEntry({ urgent, onClose }: { urgent: boolean; onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error, setError } = useAct([keys.watchlist]);
  const [plate, setPlate] = useState("");
  const [country, setCountry] = useState("B");
  const [ends, setEnds] = useState<number | null>(() => Date.now() + (urgent ? 12 * HOUR : 30 * 24 * HOUR));
  const reason = useWhyFields(WATCH_PURPOSES);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (ends === null) {
      setError(t("moment.wrong"));
      return;
    }
    const sign = country.trim() === "" ? {} : { country: country.trim() };
    const body = { plate: plate.trim(), ends_at: toWire(ends), purpose: reason.purpose, ...sign };
    void act(() => watchlist.propose(urgent, body), onClose);
  };
  return (
    <Modal title={urgent ? t("watchlist.addUrgentTitle") : t("watchlist.addTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <TextInput
          label={t("watchlist.plate")}
          required
          maxLength={16}
          autoComplete="off"
          spellCheck={false}
          value={plate}
          onChange={(event) => setPlate(event.target.value.toUpperCase())}
        />
        <TextInput
          label={t("watchlist.country")}
          maxLength={3}
          value={country}
          onChange={(event) => setCountry(event.target.value.toUpperCase())}
        />
        <MomentInput label={urgent ? t("watchlist.endsUrgent") : t("watchlist.ends")} value={ends} onChange={setEnds} />
        <WhyFields fields={reason} caseLabel={t("exports.caseRef")} needsCase />
        <p className="text-xs text-muted">{t("watchlist.sendHint")}</p>
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={plate.trim() === ""}>
            {t("watchlist.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
