import { useState } from "react";
import { holds } from "../../api/calls";
import { keys } from "../../api/keys";
import type { Hold } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { DayInput } from "../../components/moment";
import { ReasonForm } from "../../components/ReasonForm";
import { Button, Notice } from "../../components/ui";
import { fromWire, toWire } from "../../domain/time";
import { endOfDay } from "./term";

/** A hold: what is kept, why, until when, what the recorder says of it, and the steps that are open to whoever looks. */
export function HoldCard({ hold }: { hold: Hold }) {
  const { t, name, when } = useWords();
  const { release, released, reviewed, applied } = hold;
  return (
    <li>
      <article
        aria-label={hold.camera.code}
        className="flex flex-col gap-1.5 rounded-lg border border-line bg-panel p-4"
      >
        <div className="flex flex-wrap items-baseline justify-between gap-3">
          <h2 className="text-[15px]">
            {hold.camera.code} – {name(hold.camera)}
          </h2>
          <strong className="font-semibold">{t(`holdState.${hold.state}`)}</strong>
        </div>
        <p className="tabular-nums">
          {when(hold.from)} – {when(hold.to)}
        </p>
        <p className="wrap-anywhere">
          {t(`purpose.${hold.purpose}`, { defaultValue: hold.purpose })}
          {hold.case_ref === null || hold.case_ref === undefined ? "" : ` · ${hold.case_ref}`} · {hold.reason}
        </p>
        <p className="text-muted">
          {t("holds.setBy", { name: hold.set.name, when: when(hold.set.at) })} ·{" "}
          {t("holds.untilDay", { when: when(toWire(fromWire(hold.until) - 1)) })} ·{" "}
          {t("holds.reviewBy", { when: when(hold.review_by) })}
        </p>
        <p className="text-muted">
          {applied === null || applied === undefined
            ? t("holds.notApplied")
            : [
                t("holds.applied", { count: applied.segments }),
                ...(applied.refused > 0 ? [t("holds.refused", { count: applied.refused })] : []),
              ].join(" ")}
        </p>
        {reviewed ? (
          <p className="text-muted wrap-anywhere">
            {t("holds.reviewed", { name: reviewed.by.name, when: when(reviewed.by.at), text: reviewed.reason })}
          </p>
        ) : null}
        {release ? (
          <p className="wrap-anywhere">
            {t("holds.asked", { name: release.by.name, when: when(release.by.at), text: release.reason })}
          </p>
        ) : null}
        {released ? <p>{t("holds.releasedBy", { name: released.name, when: when(released.at) })}</p> : null}
        {hold.overdue ? <Notice tone="warn">{t("holds.overdue")}</Notice> : null}
        <Steps hold={hold} />
      </article>
    </li>
  );
}

type Asking = "release" | "review" | null;

function Steps({ hold }: { hold: Hold }) {
  const { t } = useWords();
  const { act, busy, error, setError } = useAct([keys.holds]);
  const [asking, setAsking] = useState<Asking>(null);
  const [until, setUntil] = useState("");
  const send = (reason: string): void => {
    const done = (): void => setAsking(null);
    if (asking === "release") void act(() => holds.askRelease(hold.id, reason), done);
    const last = endOfDay(until);
    if (asking === "review" && last === null) setError(t("moment.wrongDay"));
    else if (asking === "review" && last !== null) void act(() => holds.review(hold.id, reason, toWire(last)), done);
  };
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {hold.may_release ? <Notice tone="warn">{t("holds.releaseWarning")}</Notice> : null}
      {asking === null ? (
        <div className="flex flex-wrap justify-end gap-2">
          {hold.may_review ? <Button onPress={() => setAsking("review")}>{t("holds.review")}</Button> : null}
          {hold.may_ask_release ? <Button onPress={() => setAsking("release")}>{t("holds.askRelease")}</Button> : null}
          {hold.may_keep_on ? (
            <Button isPending={busy} onPress={() => void act(() => holds.keepOn(hold.id))}>
              {t("holds.keepOn")}
            </Button>
          ) : null}
          {hold.may_release ? (
            <Button look="danger" isPending={busy} onPress={() => void act(() => holds.release(hold.id))}>
              {t("holds.release")}
            </Button>
          ) : null}
        </div>
      ) : (
        <ReasonForm
          label={asking === "release" ? t("holds.askWhy") : t("holds.reviewWhy")}
          send={asking === "release" ? t("holds.askRelease") : t("holds.review")}
          look="primary"
          busy={busy}
          onSend={send}
          onCancel={() => setAsking(null)}
        >
          {asking === "review" ? (
            <DayInput
              label={t("holds.until")}
              required
              value={until}
              onChange={(event) => setUntil(event.target.value)}
            />
          ) : null}
        </ReasonForm>
      )}
    </div>
  );
}
