import { useState } from "react";
import { keys } from "../../api/keys";
import type { Camera } from "../../api/types";
import { hits, type Hit } from "../../api/watchlist";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Plate } from "../../components/Plate";
import { ReasonForm } from "../../components/ReasonForm";
import { Button, Notice, TextInput } from "../../components/ui";

/** One hit. The plate is not told while it is open: whoever confirms types what the picture shows. */
export function HitCard({
  hit,
  camera,
  onDecided,
}: {
  hit: Hit;
  camera: Camera | null;
  onDecided: (hit: Hit) => void;
}) {
  const { t, code, name, when } = useWords();
  const differs =
    hit.country !== null && hit.read_country !== null && hit.country !== hit.read_country ? hit.read_country : null;
  return (
    <li>
      <article
        aria-label={camera === null ? hit.camera_id : name(camera)}
        className="flex flex-col gap-2 rounded-lg border border-line bg-panel p-4"
      >
        <div className="flex flex-wrap items-baseline justify-between gap-3">
          <h2 className="text-[15px]">{camera === null ? hit.camera_id : `${camera.code} – ${name(camera)}`}</h2>
          <span className="tabular-nums">{when(hit.at)}</span>
          <strong className="font-semibold">{t(`hitState.${hit.state}`)}</strong>
        </div>
        <div className="flex flex-wrap items-start gap-3">
          {hit.has_crop ? (
            <img
              src={hits.picture(hit.id, "crop")}
              alt={t("hits.cropAlt")}
              className="h-20 w-72 rounded-sm bg-black object-contain"
            />
          ) : null}
          {hit.has_overview ? (
            <img
              src={hits.picture(hit.id, "overview")}
              alt={t("hits.overviewAlt")}
              className="max-h-64 rounded-sm bg-black object-contain"
            />
          ) : null}
        </div>
        {hit.plate !== null ? (
          <div>
            <Plate text={hit.plate} country={hit.country} large />
          </div>
        ) : null}
        <p className="wrap-anywhere">
          {t(`purpose.${hit.purpose}`, { defaultValue: hit.purpose })}
          {hit.case_ref !== null ? ` · ${hit.case_ref}` : ""} · {hit.reason}
        </p>
        {hit.corrected ? <Notice tone="warn">{t("hits.corrected")}</Notice> : null}
        {differs !== null ? (
          <Notice tone="warn">
            {t("hits.countryDiffers", { read: code("country", differs), entry: code("country", hit.country) })}
          </Notice>
        ) : null}
        {hit.decided ? (
          <p className="text-muted">
            {t("hits.decidedBy", { name: hit.decided.name, when: when(hit.decided.at) })}
            {hit.decision_reason !== null ? ` · ${hit.decision_reason}` : ""}
          </p>
        ) : null}
        {hit.state === "open" ? <Decide hit={hit} onDecided={onDecided} /> : null}
        <p className="text-xs text-muted">{t("hits.until", { when: when(hit.expires_at) })}</p>
      </article>
    </li>
  );
}

function Decide({ hit, onDecided }: { hit: Hit; onDecided: (hit: Hit) => void }) {
  const { t } = useWords();
  const { act, busy, error } = useAct([keys.hits]);
  const [seen, setSeen] = useState("");
  const [dismissing, setDismissing] = useState(false);
  const hasPicture = hit.has_crop || hit.has_overview;
  const leave = (): void => setDismissing(false);
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {!hasPicture ? <Notice tone="warn">{t("hits.noPicture")}</Notice> : null}
      {dismissing ? (
        <ReasonForm
          label={t("hits.dismissWhy")}
          send={t("hits.dismiss")}
          look="danger"
          busy={busy}
          onSend={(reason) => void act(() => hits.dismiss(hit, reason), onDecided)}
          onCancel={leave}
        />
      ) : (
        <form
          className="flex flex-wrap items-end justify-end gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            void act(() => hits.confirm(hit, seen.trim()), onDecided);
          }}
        >
          <Button isPending={busy} onPress={() => setDismissing(true)}>
            {t("hits.dismiss")}
          </Button>
          <TextInput
            label={t("hits.plateSeen")}
            hint={t("hits.plateSeenHint")}
            value={seen}
            maxLength={16}
            autoComplete="off"
            spellCheck={false}
            disabled={!hasPicture}
            onChange={(event) => setSeen(event.target.value.toUpperCase())}
          />
          <Button look="primary" type="submit" isPending={busy} isDisabled={!hasPicture || seen.trim() === ""}>
            {t("hits.confirm")}
          </Button>
        </form>
      )}
    </div>
  );
}
