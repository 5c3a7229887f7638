import { useId } from "react";
import { exports } from "../../api/calls";
import type { Result } from "../../api/http";
import { keys } from "../../api/keys";
import type { Export } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { SettleRow } from "../../components/SettleRow";
import { Button, Notice } from "../../components/ui";
import { Package } from "./Package";
import { size } from "./size";

/** An export: what, why, how far, and the steps that are open to whoever looks. */
export function ExportCard({ one }: { one: Export }) {
  const { t, name, when } = useWords();
  const { settled } = one;
  return (
    <li>
      <article
        aria-label={one.camera.code}
        className="flex flex-col gap-1.5 rounded-lg border border-line bg-panel p-4"
      >
        <div className="flex flex-wrap items-baseline justify-between gap-3">
          <h2 className="text-[15px]">
            {one.camera.code} – {name(one.camera)}
          </h2>
          <strong className="font-semibold">{t(`exportState.${one.state}`)}</strong>
        </div>
        {one.cameras.slice(1).map((camera) => (
          <p key={camera.id}>
            {camera.code} – {name(camera)}
          </p>
        ))}
        <p className="tabular-nums">
          {when(one.from)} – {when(one.to)}
        </p>
        <p className="wrap-anywhere">
          {t(`purpose.${one.purpose}`, { defaultValue: one.purpose })} · {one.case_ref} · {one.reason}
        </p>
        <p className="text-muted">
          {t("exports.orderedBy", { name: one.ordered.name, when: when(one.ordered.at) })}
          {settled ? " · " : ""}
          {settled && one.state === "refused"
            ? t("exports.refusedBy", { name: settled.name, when: when(settled.at) })
            : null}
          {settled && one.state !== "refused"
            ? t("exports.approvedBy", { name: settled.name, when: when(settled.at) })
            : null}
        </p>
        {one.answer ? <p className="wrap-anywhere">{t("exports.answer", { text: one.answer })}</p> : null}
        {["queued", "running", "paused"].includes(one.state) ? <Bar one={one} /> : null}
        {one.failure ? (
          <Notice tone={one.state === "failed" ? "bad" : "warn"}>
            {t(`exportFailure.${one.failure}`, { defaultValue: one.failure })}
          </Notice>
        ) : null}
        {one.state === "done" && one.expires_at ? (
          <p className="text-muted">{t("exports.until", { when: when(one.expires_at) })}</p>
        ) : null}
        {one.manifest_sha256 ? (
          <p className="text-muted wrap-anywhere">{t("exports.digest", { digest: one.manifest_sha256 })}</p>
        ) : null}
        {one.may_fetch ? <Package one={one} /> : null}
        <Steps one={one} />
      </article>
    </li>
  );
}

function Bar({ one }: { one: Export }) {
  const { t, language } = useWords();
  const id = useId();
  const percent = one.progress.percent;
  return (
    <div className="flex flex-wrap items-center gap-3">
      <span id={id} className="text-muted">
        {t("exports.progress")}
      </span>
      <progress aria-labelledby={id} max={100} value={percent} className="h-3 min-w-40 flex-1 accent-accent" />
      <span className="tabular-nums">
        {new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(percent)} % ·{" "}
        {size(one.progress.bytes, language)}
      </span>
    </div>
  );
}

function Steps({ one }: { one: Export }) {
  const { t, problem } = useWords();
  const { act, busy, error } = useAct([keys.exports], (refusal) =>
    refusal.code === "no_room" ? `${problem(refusal)} ${refusal.detail ?? ""}` : problem(refusal),
  );
  const button = (words: string, action: () => Promise<Result<Export>>, look: "plain" | "primary" | "danger") => (
    <Button key={words} look={look} isPending={busy} onPress={() => void act(action)}>
      {words}
    </Button>
  );
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {one.may_settle ? <Notice tone="warn">{t("exports.approveWarning")}</Notice> : null}
      <SettleRow
        may={one.may_settle}
        refuse={t("exports.refuse")}
        why={t("exports.refuseWhy")}
        busy={busy}
        onRefuse={(reason, done) => void act(() => exports.refuse(one.id, reason), done)}
        before={
          <>
            {one.may_pause ? button(t("exports.pause"), () => exports.pause(one.id), "plain") : null}
            {one.may_resume ? button(t("exports.resume"), () => exports.resume(one.id), "primary") : null}
            {one.may_cancel ? button(t("exports.cancel"), () => exports.cancel(one.id), "danger") : null}
            {one.may_remove ? button(t("exports.remove"), () => exports.remove(one.id), "danger") : null}
          </>
        }
      >
        {button(t("exports.approve"), () => exports.approve(one.id), "primary")}
      </SettleRow>
    </div>
  );
}
