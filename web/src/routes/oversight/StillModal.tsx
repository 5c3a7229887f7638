import { ImageDown, Trash2 } from "lucide-react";
import { useEffect, useRef, useState, type PointerEvent } from "react";
import { watch, type Still, type SubjectFootage, type SubjectRequest } from "../../api/watch";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { areaBetween, areaText, parseArea, percentOf, type Area } from "../../domain/area";
import { fromWire, toWire } from "../../domain/time";

type Mode = "keep" | "hide";

interface Shown extends Still {
  url: string;
}

interface Corner {
  x: number;
  y: number;
}

/** A corner as a share of the picture. */
function cornerOf(event: PointerEvent<HTMLDivElement>): Corner {
  const box = event.currentTarget.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

function Frame({ area, look }: { area: Area; look: Mode }) {
  const [left, top, right, bottom] = area;
  const style = {
    left: `${left / 10}%`,
    top: `${top / 10}%`,
    width: `${(right - left) / 10}%`,
    height: `${(bottom - top) / 10}%`,
  };
  const line = look === "keep" ? "border-2 border-accent" : "border-2 border-dashed border-bad";
  return <div aria-hidden style={style} className={`pointer-events-none absolute ${line}`} />;
}

/** The picture, on which an area is drawn with the pointer; the fields below do the same by keyboard. */
function Canvas({
  shown,
  alt,
  keep,
  hide,
  mode,
  onArea,
}: {
  shown: Shown;
  alt: string;
  keep: Area | null;
  hide: Area[];
  mode: Mode;
  onArea: (area: Area) => void;
}) {
  const from = useRef<Corner | null>(null);
  const [drawn, setDrawn] = useState<Area | null>(null);
  return (
    <div
      className="relative cursor-crosshair touch-none select-none"
      onPointerDown={(event) => {
        from.current = cornerOf(event);
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (from.current !== null) setDrawn(areaBetween(from.current, cornerOf(event)));
      }}
      onPointerUp={(event) => {
        const area = from.current === null ? null : areaBetween(from.current, cornerOf(event));
        from.current = null;
        setDrawn(null);
        if (area !== null) onArea(area);
      }}
    >
      <img src={shown.url} alt={alt} draggable={false} className="w-full rounded bg-black" />
      {keep !== null ? <Frame area={keep} look="keep" /> : null}
      {hide.map((area) => (
        <Frame key={areaText(area)} area={area} look="hide" />
      ))}
      {drawn !== null ? <Frame area={drawn} look={mode} /> : null}
    </div>
  );
}

/** Masked stills of one camera for the person of a request: all of it is pixelated first, then one area is asked for in the clear. */
export function StillModal({
  request,
  camera,
  onClose,
}: {
  request: SubjectRequest;
  camera: SubjectFootage;
  onClose: () => void;
}) {
  const { t, when, problem } = useWords();
  const [at, setAt] = useState<number | null>(() => (camera.spans[0] ? fromWire(camera.spans[0].from) : null));
  const [mode, setMode] = useState<Mode>("keep");
  const [keep, setKeep] = useState<Area | null>(null);
  const [hide, setHide] = useState<Area[]>([]);
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState<Shown | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const url = shown?.url ?? null;
  useEffect(
    () => () => {
      if (url !== null) URL.revokeObjectURL(url);
    },
    [url],
  );
  const take = async (): Promise<void> => {
    if (at === null) return;
    setBusy(true);
    const answer = await watch.still(request.id, { camera_id: camera.camera_id, at: toWire(at), keep, hide });
    setBusy(false);
    setError(answer.ok ? null : problem(answer.problem));
    if (answer.ok) setShown({ ...answer.value, url: URL.createObjectURL(answer.value.jpeg) });
  };
  const add = (area: Area): void => {
    if (mode === "keep") setKeep(area);
    else setHide((before) => [...before.filter((one) => areaText(one) !== areaText(area)), area].slice(-16));
    setTyped("");
  };
  const parsed = parseArea(typed);
  return (
    <Modal title={t("stills.title", { camera: camera.code })} open wide onClose={onClose}>
      <p className="text-muted">{t("stills.explain")}</p>
      <div className="flex flex-wrap items-end gap-3">
        <MomentInput label={t("stills.at")} value={at} onChange={setAt} />
        <Button look="primary" isDisabled={busy || at === null} onPress={() => void take()}>
          {t("stills.show")}
        </Button>
      </div>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {shown !== null ? (
        <>
          <Canvas
            shown={shown}
            alt={t("stills.alt", { camera: camera.code })}
            keep={keep}
            hide={hide}
            mode={mode}
            onArea={add}
          />
          <p className="tabular-nums">{t("stills.taken", { when: when(shown.capturedAt) })}</p>
        </>
      ) : null}
      <div className="flex flex-wrap items-end gap-3">
        <SelectInput
          label={t("stills.mode")}
          value={mode}
          onChange={(event) => setMode(event.target.value === "hide" ? "hide" : "keep")}
          options={(["keep", "hide"] as const).map((one) => ({ value: one, label: t(`stills.${one}`) }))}
        />
        <TextInput label={t("stills.typed")} value={typed} onChange={(event) => setTyped(event.target.value)} />
        <Button
          isDisabled={parsed === null}
          onPress={() => {
            if (parsed !== null) add(parsed);
          }}
        >
          {t("stills.add")}
        </Button>
      </div>
      <ul className="flex flex-col gap-1">
        {keep !== null ? (
          <AreaRow
            words={t("stills.kept", { area: areaText(keep), percent: percentOf(keep) })}
            onRemove={() => setKeep(null)}
          />
        ) : null}
        {hide.map((area) => (
          <AreaRow
            key={areaText(area)}
            words={t("stills.hidden", { area: areaText(area) })}
            onRemove={() => setHide((before) => before.filter((one) => one !== area))}
          />
        ))}
      </ul>
      <div className="flex justify-end gap-2">
        {shown !== null ? (
          <a
            href={shown.url}
            download={`${request.file_ref.replace(/[^\w-]+/g, "_")}_${camera.code}_${shown.capturedAt}.jpg`}
            className="inline-flex min-h-8 items-center gap-1 underline"
          >
            <ImageDown size={15} aria-hidden />
            {t("stills.save")}
          </a>
        ) : null}
        <Button onPress={onClose}>{t("common.close")}</Button>
      </div>
    </Modal>
  );
}

function AreaRow({ words, onRemove }: { words: string; onRemove: () => void }) {
  const { t } = useWords();
  return (
    <li className="flex items-center justify-between gap-2 tabular-nums">
      {words}
      <Button onPress={onRemove}>
        <Trash2 size={15} aria-hidden />
        {t("stills.remove")}
      </Button>
    </li>
  );
}
