import { gated } from "../../api/calls";
import { keys } from "../../api/keys";
import type { Gated } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { SettleRow } from "../../components/SettleRow";
import { Button, Notice } from "../../components/ui";
import { POLICE_READS } from "../../domain/camera";

/** One decision: which hours, on what ground, who, what the recorder did, and the steps that are open to whoever looks. */
export function GatedCard({ one }: { one: Gated }) {
  const { t, name, when } = useWords();
  const { settled, applied } = one;
  const isReads = one.class === POLICE_READS;
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
          <strong className="font-semibold">{t(`gatedState.${one.state}`)}</strong>
        </div>
        <p>
          <span className="tabular-nums">
            {when(one.from)} – {when(one.to)}
          </span>{" "}
          · {isReads ? t("gatedWhat.reads") : t("gatedWhat.footage")} ({one.class})
        </p>
        <p className="wrap-anywhere">
          {t(`purpose.${one.purpose}`, { defaultValue: one.purpose })} · {one.case_ref} · {one.ground}
        </p>
        <p className="text-muted">
          {t("gated.proposedBy", { name: one.proposed.name, when: when(one.proposed.at) })}
          {settled && one.state === "in_force"
            ? ` · ${t("gated.agreedBy", { name: settled.name, when: when(settled.at) })}`
            : ""}
          {settled && one.state === "refused"
            ? ` · ${t("gated.refusedBy", { name: settled.name, when: when(settled.at) })}`
            : ""}
        </p>
        {one.refusal ? <p className="wrap-anywhere">{t("gated.refusal", { text: one.refusal })}</p> : null}
        {one.state === "in_force" ? (
          <p className="text-muted">
            {applied === null || applied === undefined
              ? t("gated.notApplied")
              : t("gated.behind", { count: applied.hours })}
          </p>
        ) : null}
        {applied && applied.waiting > 0 ? (
          <Notice tone="warn">
            {isReads ? t("gated.stuckReads", { count: applied.waiting }) : t("gated.stuck", { count: applied.waiting })}
          </Notice>
        ) : null}
        <Steps one={one} />
      </article>
    </li>
  );
}

function Steps({ one }: { one: Gated }) {
  const { t } = useWords();
  const { act, busy, error } = useAct([keys.gated]);
  if (!one.may_settle) return null;
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <Notice tone="warn">{one.class === POLICE_READS ? t("gated.agreeWarningReads") : t("gated.agreeWarning")}</Notice>
      <SettleRow
        may
        refuse={t("gated.refuse")}
        why={t("gated.refuseWhy")}
        busy={busy}
        onRefuse={(reason, done) => void act(() => gated.refuse(one.id, reason), done)}
      >
        <Button look="primary" isPending={busy} onPress={() => void act(() => gated.approve(one.id))}>
          {t("gated.agree")}
        </Button>
      </SettleRow>
    </div>
  );
}
