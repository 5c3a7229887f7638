import { useQueryClient } from "@tanstack/react-query";
import { BadgeCheck, CirclePause, Pencil, Radio, X } from "lucide-react";
import { useState } from "react";
import { cameras } from "../../api/calls";
import { useCamera } from "../../api/hooks";
import type { Result } from "../../api/http";
import { keys } from "../../api/keys";
import type { Camera, Probe } from "../../api/types";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { CameraState } from "../../components/CameraState";
import { Modal } from "../../components/Modal";
import { Busy, Button, Notice, TextInput } from "../../components/ui";
import { EditCamera } from "./EditCamera";
import { CameraChanges } from "./LegalChanges";
import { LegalForm } from "./LegalForm";
import { ProbeResult } from "./ProbeResult";
import { TestPicture } from "./TestPicture";

export function CameraDetail({ id, onClose }: { id: string; onClose: () => void }) {
  const { t, name, code, problem } = useWords();
  const client = useQueryClient();
  const may = useRight();
  const asked = useCamera(id);
  const [error, setError] = useState<string | null>(null);
  const [waits, setWaits] = useState(false);
  const [probe, setProbe] = useState<Probe | null>(null);
  const [editing, setEditing] = useState(false);
  const [busy, setBusy] = useState(false);
  const camera = asked.data?.camera;
  const run = async <T,>(action: () => Promise<Result<T>>, done: (value: T) => void): Promise<void> => {
    setBusy(true);
    setError(null);
    const answer = await action();
    setBusy(false);
    if (answer.ok) done(answer.value);
    else setError(problem(answer.problem));
    await client.invalidateQueries({ queryKey: keys.cameras });
  };
  return (
    <aside
      aria-label={t("cameras.detail")}
      className="flex w-[400px] shrink-0 flex-col gap-4 overflow-auto border-l border-line bg-panel p-4"
    >
      <div className="flex items-start justify-between gap-2">
        <h2 className="text-[15px]">{camera === undefined ? t("common.loading") : name(camera)}</h2>
        <Button look="quiet" onPress={onClose} aria-label={t("common.close")} className="!px-1.5">
          <X size={16} aria-hidden />
        </Button>
      </div>
      {asked.isPending ? <Busy label={t("common.loading")} /> : null}
      {asked.isError ? <Notice tone="bad">{problem(asked.error)}</Notice> : null}
      {camera !== undefined ? (
        <>
          <CameraState camera={camera} />
          <WhatToDo camera={camera} />
          <Facts camera={camera} />
          {error !== null ? <Notice tone="bad">{error}</Notice> : null}
          <div className="flex flex-wrap gap-2">
            {may("camera.edit") && camera.may.edit && camera.state !== "retired" ? (
              <Button onPress={() => setEditing(true)}>
                <Pencil size={15} aria-hidden />
                {t("cameras.edit")}
              </Button>
            ) : null}
            {may("camera.edit") && camera.may.edit && camera.state !== "retired" ? (
              <Button isDisabled={busy} onPress={() => void run(() => cameras.probe(id), setProbe)}>
                <Radio size={15} aria-hidden />
                {t("cameras.probe")}
              </Button>
            ) : null}
            {(camera.may.edit && camera.state === "draft") || camera.may.propose_law ? (
              <LegalForm key={asked.data?.etag ?? ""} camera={camera} etag={asked.data?.etag ?? null} />
            ) : null}
            {may("camera.approve") &&
            camera.may.approve &&
            (camera.state === "draft" || camera.state === "approved") ? (
              <Button
                look="primary"
                isDisabled={busy}
                onPress={() =>
                  void run(
                    () => cameras.approve(id),
                    () => undefined,
                  )
                }
              >
                <BadgeCheck size={15} aria-hidden />
                {camera.state === "draft" ? t("cameras.approve") : t("cameras.goLive")}
              </Button>
            ) : null}
            {may("camera.retire") && camera.state !== "retired" ? (
              <Retire
                code={camera.code}
                busy={busy}
                onRetire={(reason) =>
                  void run(
                    () => cameras.retire(id, reason),
                    // The platform's administrator asks, and the owner agrees: the camera comes back as it is.
                    (answer) => setWaits(answer.state !== "retired"),
                  )
                }
              />
            ) : null}
          </div>
          <p role="status" className="text-muted">
            {busy ? t("cameras.working") : waits ? t("cameras.retireAsked") : t(`cameraStateText.${camera.state}`)}
          </p>
          {probe !== null ? <ProbeResult report={probe} /> : null}
          {may("camera.test_picture") && camera.may.test_picture && camera.state !== "retired" ? (
            <TestPicture camera={camera} />
          ) : null}
          <CameraChanges camera={camera} />
          <section>
            <h3 className="mb-1 font-semibold">{t("cameras.streams")}</h3>
            <ul className="flex flex-col gap-1.5">
              {camera.streams.map((stream) => (
                <li key={stream.id} className="rounded border border-line p-2">
                  <div>
                    {code("streamUse", stream.use)} · {stream.codec?.toUpperCase() ?? t("cameras.codecUnknown")}
                    {stream.width !== null && stream.height !== null ? ` · ${stream.width}×${stream.height}` : ""}
                  </div>
                  {stream.url !== undefined && stream.url !== null ? (
                    <div className="text-xs break-all text-muted">{stream.url}</div>
                  ) : null}
                </li>
              ))}
            </ul>
          </section>
          {editing ? (
            <EditCamera camera={camera} etag={asked.data?.etag ?? null} onClose={() => setEditing(false)} />
          ) : null}
        </>
      ) : null}
    </aside>
  );
}

/** Retiring ends a camera for good: the code is typed, so that nobody ends another one by a slip. */
function Retire({ code, busy, onRetire }: { code: string; busy: boolean; onRetire: (reason: string) => void }) {
  const { t } = useWords();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [reason, setReason] = useState("");
  const [wrong, setWrong] = useState(false);
  const close = (): void => {
    setOpen(false);
    setTyped("");
    setReason("");
    setWrong(false);
  };
  return (
    <>
      <Button look="danger" isDisabled={busy} onPress={() => setOpen(true)}>
        <CirclePause size={15} aria-hidden />
        {t("cameras.retire")}
      </Button>
      <Modal title={t("cameras.retireTitle", { code })} open={open} onClose={close}>
        <form
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            if (typed.trim() !== code) {
              setWrong(true);
              return;
            }
            close();
            onRetire(reason.trim());
          }}
        >
          <Notice tone="warn">{t("cameras.retireText")}</Notice>
          <TextInput
            label={t("cameras.retireCode")}
            autoFocus
            autoComplete="off"
            value={typed}
            error={wrong ? t("cameras.retireWrong") : null}
            onChange={(event) => setTyped(event.target.value)}
          />
          <TextInput
            label={t("cameras.retireReason")}
            autoComplete="off"
            required
            minLength={10}
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
          <div className="flex justify-end gap-2">
            <Button onPress={close}>{t("common.cancel")}</Button>
            <Button look="danger" type="submit">
              {t("cameras.retire")}
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}

/** What helps against the present trouble of a camera in service. */
function WhatToDo({ camera }: { camera: Camera }) {
  const { t } = useWords();
  const { cause, phase } = camera.health;
  if (camera.state !== "live" || cause === null || (phase === "live" && cause !== "disk")) return null;
  const text = t(`causeHelp.${cause}`, { defaultValue: "" });
  return text === "" ? null : <Notice tone="warn">{text}</Notice>;
}

function Facts({ camera }: { camera: Camera }) {
  const { t, name, code } = useWords();
  const basis = camera.legal_basis;
  const rows: [string, string][] = [
    [t("cameras.code"), camera.code],
    [t("cameras.callUp"), String(camera.call_up ?? "–")],
    [t("cameras.owner"), name(camera.owner)],
    [t("cameras.kind"), code("cameraKind", camera.kind)],
    [t("cameras.place"), `${camera.lat.toFixed(5)}, ${camera.lon.toFixed(5)}`],
    [t("cameras.retention"), camera.retention_class],
    [t("cameras.document"), basis?.document ?? t("cameras.noBasis")],
    [t("cameras.dated"), basis?.date ?? "–"],
    [t("cameras.advice"), basis?.advice ?? "–"],
    [t("cameras.pictogram"), camera.pictogram_on ?? "–"],
  ];
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
      {rows.map(([key, value]) => (
        <div key={key} className="contents">
          <dt className="text-muted">{key}</dt>
          <dd className="break-words">{value === "" ? "–" : value}</dd>
        </div>
      ))}
    </dl>
  );
}
