import { useState } from "react";
import { holds } from "../../api/calls";
import { keys } from "../../api/keys";
import type { HoldsSearch } from "../../app/router";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { DayInput } from "../../components/moment";
import { SpanFields, useSpanFields } from "../../components/SpanFields";
import { Button, Notice } from "../../components/ui";
import { useWhyFields, WhyFields } from "../../components/WhyFields";
import { parseDay } from "../../domain/moment";
import { toWire } from "../../domain/time";
import { endOfDay } from "./term";

/** The form of a new hold; a span that is handed over by playback stands in it already. */
export function AddHold({ wish, onClose }: { wish: HoldsSearch; onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error, setError } = useAct([keys.holds]);
  const span = useSpanFields(wish, 30, 0);
  const reason = useWhyFields();
  const [until, setUntil] = useState("");
  const { chosen, from, to } = span;
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    const last = endOfDay(until);
    if (from === null || to === null || last === null || chosen === undefined) {
      setError(t(last === null ? "moment.wrongDay" : "moment.wrong"));
      return;
    }
    const wanted = { camera_id: chosen.id, from: toWire(from), to: toWire(to), until: toWire(last) };
    void act(() => holds.set({ ...wanted, purpose: reason.purpose }), onClose);
  };
  return (
    <Modal title={t("holds.addTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SpanFields fields={span} toLabel={t("holds.to")} />
        <DayInput
          label={t("holds.until")}
          required
          value={until}
          onChange={(event) => setUntil(event.target.value)}
          error={until !== "" && parseDay(until) === null ? t("moment.wrongDay") : null}
        />
        <p className="text-xs text-muted">{t("holds.untilHint")}</p>
        <WhyFields fields={reason} caseLabel={t("why.caseOptional")} needsCase={false} />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={chosen === undefined}>
            {t("holds.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
