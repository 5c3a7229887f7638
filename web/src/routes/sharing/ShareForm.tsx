import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { admin } from "../../api/calls";
import { useCameras } from "../../api/hooks";
import { unwrap } from "../../api/http";
import { keys } from "../../api/keys";
import { sharing } from "../../api/sharing";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Button, Notice, SelectInput, TextInput } from "../../components/ui";
import { PURPOSES, type PurposeCode } from "../../domain/purpose";
import { toWire } from "../../domain/time";
import { CameraChoice, useAct } from "./act";

const RIGHTS = ["camera.list", "live", "playback", "reads.push", "statistics.view", "statistics.deliver"] as const;
const YEAR = 365 * 86_400_000;

/** Gives a share of own cameras, or asks an owner for one. */
export function ShareForm({ kind, onClose }: { kind: "give" | "ask"; onClose: () => void }) {
  const { t, name } = useWords();
  const { org } = useSession();
  const cameras = useCameras();
  const orgs = useQuery({
    queryKey: keys.orgs,
    queryFn: async () => unwrap(await admin.orgs()),
    enabled: kind === "give",
  });
  const { act, busy, error, setError } = useAct(onClose);
  const [chosen, setChosen] = useState<string[]>([]);
  const [partner, setPartner] = useState("");
  const [rights, setRights] = useState<string[]>(["live"]);
  const [profile, setProfile] = useState("");
  const [purpose, setPurpose] = useState<PurposeCode>("INTERVENTIE");
  const [reason, setReason] = useState("");
  const [caseRef, setCaseRef] = useState("");
  const [from, setFrom] = useState<number | null>(() => Date.now());
  const [to, setTo] = useState<number | null>(() => Date.now() + YEAR);
  const isOwn = (one: { owner: { id: string } }): boolean => one.owner.id === org.id;
  const choice = (cameras.data ?? [])
    .filter((one) => one.state !== "retired" && isOwn(one) === (kind === "give"))
    .map((one) => ({ id: one.id, label: `${one.code} – ${name(one)}` }));
  const others = (orgs.data ?? []).filter((one) => one.id !== org.id);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    if (from === null || to === null) {
      setError(t("moment.wrong"));
      return;
    }
    const share = {
      camera_ids: chosen,
      profile: profile.trim() || null,
      rights,
      from: toWire(from),
      to: toWire(to),
    };
    const why = { code: purpose, justification: reason.trim() || null, case_ref: caseRef.trim() || null };
    void act(() =>
      kind === "give"
        ? sharing.give({ ...share, partner_id: partner || (others[0]?.id ?? ""), purpose })
        : sharing.ask({ ...share, purpose: why }),
    );
  };
  return (
    <Modal title={kind === "give" ? t("sharing.give") : t("sharing.ask")} open onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-3">
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <CameraChoice label={t("sharing.cameras")} cameras={choice} value={chosen} onChange={setChosen} />
        {kind === "give" ? (
          <SelectInput
            label={t("sharing.partner")}
            value={partner}
            onChange={(event) => setPartner(event.target.value)}
            options={others.map((one) => ({ value: one.id, label: name(one) }))}
          />
        ) : null}
        <fieldset className="flex flex-wrap gap-3">
          <legend className="text-muted">{t("sharing.rights")}</legend>
          {RIGHTS.map((right) => (
            <label key={right} className="flex items-center gap-1.5">
              <input
                type="checkbox"
                checked={rights.includes(right)}
                onChange={(event) =>
                  setRights(event.target.checked ? [...rights, right] : rights.filter((one) => one !== right))
                }
              />
              {t(`right.${right.replace(".", "_")}`)}
            </label>
          ))}
        </fieldset>
        <TextInput
          label={t("sharing.profile")}
          pattern="P[0-9]{2}"
          placeholder="P01"
          value={profile}
          onChange={(event) => setProfile(event.target.value)}
        />
        <SelectInput
          label={t("why.purpose")}
          value={purpose}
          onChange={(event) => setPurpose(event.target.value as PurposeCode)}
          options={PURPOSES.map((one) => ({ value: one, label: t(`purpose.${one}`) }))}
        />
        <MomentInput label={t("span.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("span.to")} value={to} onChange={setTo} />
        {kind === "ask" ? (
          <>
            <TextInput
              label={t("sharing.reason")}
              required
              minLength={10}
              maxLength={500}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
            <TextInput
              label={t("why.caseOptional")}
              maxLength={64}
              value={caseRef}
              onChange={(event) => setCaseRef(event.target.value)}
            />
          </>
        ) : null}
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={chosen.length === 0 || rights.length === 0}>
            {kind === "give" ? t("sharing.give") : t("sharing.ask")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
