import { useState } from "react";
import { useCameras } from "../api/hooks";
import { useWords } from "../app/useWords";
import { MINUTE } from "../domain/time";
import { MomentInput } from "./moment";
import { SelectInput } from "./ui";

/** A camera of one's own recorder and a span of its past; what playback hands over stands in it already. */
export function useSpanFields(wish: { camera?: string; from?: number; to?: number }, lasting: number, ago: number) {
  const cameras = useCameras();
  const own = (cameras.data ?? []).filter((one) => one.partner === null && one.state !== "draft");
  const [camera, setCamera] = useState(wish.camera ?? "");
  const [from, setFrom] = useState<number | null>(wish.from ?? Date.now() - ago - lasting * MINUTE);
  const [to, setTo] = useState<number | null>(wish.to ?? Date.now() - ago);
  const chosen = own.find((one) => one.id === camera) ?? own[0];
  return { own, chosen, setCamera, from, setFrom, to, setTo };
}

export function SpanFields({
  fields,
  toLabel,
}: {
  fields: ReturnType<typeof useSpanFields>;
  /** The end with its bounds in words. */
  toLabel: string;
}) {
  const { t, name } = useWords();
  return (
    <>
      <SelectInput
        label={t("span.camera")}
        value={fields.chosen?.id ?? ""}
        onChange={(event) => fields.setCamera(event.target.value)}
        options={fields.own.map((one) => ({ value: one.id, label: `${one.code} – ${name(one)}` }))}
      />
      <MomentInput label={t("span.from")} value={fields.from} onChange={fields.setFrom} />
      <MomentInput label={toLabel} value={fields.to} onChange={fields.setTo} />
    </>
  );
}
