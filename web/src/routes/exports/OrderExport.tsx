import { useState } from "react";
import { exports } from "../../api/calls";
import { keys } from "../../api/keys";
import type { ExportsSearch } from "../../app/router";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { SpanFields, useSpanFields } from "../../components/SpanFields";
import { Button, Notice, SelectInput } from "../../components/ui";
import { useWhyFields, WhyFields } from "../../components/WhyFields";
import { MINUTE, toWire } from "../../domain/time";
import { MoreCameras } from "./MoreCameras";

const LANGUAGES = ["nl", "fr", "en"] as const;

/** The order of an export; a span that is handed over by playback stands in it already. */
export function OrderExport({ wish, onClose }: { wish: ExportsSearch; onClose: () => void }) {
  const { t, language } = useWords();
  const { act, busy, error, setError } = useAct([keys.exports]);
  const span = useSpanFields(wish, 9, MINUTE);
  const reason = useWhyFields();
  const [sheet, setSheet] = useState<string>(language);
  const [more, setMore] = useState<string[]>([]);
  const { chosen, from, to } = span;
  // Of the owner whose camera stands first; another choice of it takes the others along only where they fit.
  const others = span.own.filter(
    (one) => more.includes(one.id) && one.id !== chosen?.id && one.owner.id === chosen?.owner.id,
  );
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (from === null || to === null || chosen === undefined) {
      setError(t("moment.wrong"));
      return;
    }
    const camera_ids = [chosen.id, ...others.map((one) => one.id)];
    const order = { camera_ids, from: toWire(from), to: toWire(to), language: sheet };
    void act(() => exports.order({ ...order, purpose: reason.purpose }), onClose);
  };
  return (
    <Modal title={t("exports.orderTitle")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SpanFields fields={span} toLabel={t("exports.to")} />
        {chosen !== undefined ? (
          <MoreCameras first={chosen} cameras={span.own} more={others.map((one) => one.id)} onChange={setMore} />
        ) : null}
        <SelectInput
          label={t("exports.sheet")}
          value={sheet}
          onChange={(event) => setSheet(event.target.value)}
          options={LANGUAGES.map((one) => ({ value: one, label: t(`language.${one}`) }))}
        />
        <WhyFields fields={reason} caseLabel={t("exports.caseRef")} needsCase />
        <p className="text-xs text-muted">{t("exports.orderHint")}</p>
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={chosen === undefined}>
            {t("exports.send")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
