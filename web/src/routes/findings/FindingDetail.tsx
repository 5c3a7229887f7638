import { useQueryClient } from "@tanstack/react-query";
import { Info } from "lucide-react";
import { useState } from "react";
import { type FindingVerdict, findings } from "../../api/calls";
import { useFinding } from "../../api/hooks";
import { keys } from "../../api/keys";
import type { Finding } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useKeys } from "../../app/useKeys";
import { useWords } from "../../app/useWords";
import { Plate } from "../../components/Plate";
import { Notice } from "../../components/ui";
import { money } from "../../domain/plate";
import { reasonValues } from "../../domain/reason";
import { keepDecided, newer } from "./current";
import { DecideBar, UndoBar } from "./DecideBar";
import { ExitEnd } from "./ExitEnd";
import { Picture } from "./Picture";
import { RegistryAnswer } from "./RegistryAnswer";

export function FindingDetail({ id, listed, onDone }: { id: string; listed: Finding; onDone: () => void }) {
  const { t, code, name, when, problem, language } = useWords();
  const client = useQueryClient();
  const full = useFinding(id);
  const finding = newer(full.data, listed);
  const [rejecting, setRejecting] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const decision = finding.decision_id ?? null;
  const isOpen = finding.state === "open" || finding.state === "unclear";
  const mine = finding.decided_by === useSession().user.id;
  /** The chosen word of a rejection stands first in its reason. */
  const reasonText = (reason: string): string => {
    const [word = "", ...rest] = reason.split(": ");
    return [code("rejectReason", word), ...rest].join(": ");
  };
  const mayApprove = !(mine && finding.second_person_needed);
  const canUndo = mine && (!isOpen || finding.second_person_needed);

  const decide = async (verdict: FindingVerdict, reason: string | null): Promise<void> => {
    if (busy || (verdict === "undo" ? !canUndo : !isOpen)) return;
    setBusy(true);
    const answer = await findings.decide(id, verdict, reason, finding.etag);
    if (answer.ok) await keepDecided(client, answer.value);
    setBusy(false);
    if (!answer.ok) {
      setError(problem(answer.problem));
      await client.invalidateQueries({ queryKey: keys.findings });
      return;
    }
    setRejecting(false);
    onDone();
    await client.invalidateQueries({ queryKey: keys.findings });
  };
  useKeys((key, event) => {
    // A key that is held down must not decide one finding after the other.
    if (!isOpen || rejecting || event.repeat) return false;
    if (key === "1" && mayApprove) void decide("approve", null);
    else if (key === "2") setRejecting(true);
    else if (key === "3") void decide("unclear", null);
    else return false;
    return true;
  });

  return (
    <article className="flex flex-col gap-4 p-4" data-finding={finding.id}>
      <header className="flex flex-wrap items-center gap-x-5 gap-y-2">
        <Plate text={finding.plate} country={finding.country} large />
        <div>
          <h2 className="text-[15px]">
            {code("verdict", finding.verdict)} · {code("findingKind", finding.kind)}
            {finding.place !== null ? ` · ${finding.place}` : ""}
          </h2>
          <p className="text-muted">
            {name(finding.camera)} ({finding.camera.code}) · <span className="tabular-nums">{when(finding.at)}</span>
            {finding.country !== null ? ` · ${code("country", finding.country)}` : ""}
          </p>
        </div>
        {finding.amount_cents !== null && finding.currency !== null ? (
          <p className="ml-auto text-right">
            <span className="text-muted">{t("findings.amount")}</span>
            <br />
            <span className="text-lg font-semibold tabular-nums">
              {money(finding.amount_cents, finding.currency, language)}
            </span>
          </p>
        ) : null}
      </header>
      <p className="flex items-center gap-2 text-muted">
        <Info size={15} aria-hidden className="shrink-0" />
        {t("findings.notAFine")}
      </p>
      {finding.second_person_needed ? (
        <Notice tone="warn">{mine ? t("findings.secondOfMine") : t("findings.secondPerson")}</Notice>
      ) : null}
      {finding.confirm_plate_first === true ? <Notice tone="warn">{t("findings.confirmPlate")}</Notice> : null}
      <div className="grid items-start gap-3 lg:grid-cols-[2fr_1fr]">
        <Picture
          src={finding.has_overview === false ? null : findings.picture(id, "overview", decision)}
          alt={t("findings.overviewAlt")}
          label={t("findings.overview")}
          tall
        />
        <div className="flex flex-col gap-3">
          <Picture
            src={finding.has_crop === false ? null : findings.picture(id, "crop", decision)}
            alt={t("reads.cropAlt", { plate: finding.plate })}
            label={t("findings.crop")}
          />
          <section className="rounded border border-line bg-panel p-3">
            <h3 className="mb-1.5 font-semibold">{t("findings.reasons")}</h3>
            <ul className="flex list-disc flex-col gap-1 pl-4">
              {finding.reasons.map((reason, index) => (
                <li key={`${reason.code}/${index}`}>
                  {t(`reason.${reason.code}`, {
                    ...reasonValues(reason as unknown as Record<string, unknown>),
                    defaultValue: reason.code,
                  })}
                </li>
              ))}
            </ul>
            <p className="mt-2 text-xs text-muted" title={finding.rule_set}>
              {finding.rule_id === null
                ? t("findings.noRule", { set: finding.rule_set.slice(0, 12) })
                : t("findings.rule", { rule: finding.rule_id, set: finding.rule_set.slice(0, 12) })}
            </p>
          </section>
        </div>
      </div>
      <ExitEnd finding={finding} decision={decision} />
      {finding.kind === "lez" ? <RegistryAnswer answer={finding.registry} /> : null}
      {isOpen ? null : (
        <Notice>
          {t("findings.decided", {
            state: t(`findingState.${finding.state}`),
            who: mine ? t("findings.you") : t("findings.another"),
            when: when(finding.decided_at),
          })}
          {finding.decision_reason !== null ? ` ${reasonText(finding.decision_reason)}` : ""}
        </Notice>
      )}
      {isOpen || canUndo || error !== null ? (
        <div className="sticky bottom-0 flex flex-col gap-2 border-t border-line bg-bg py-3">
          {error !== null ? <Notice tone="bad">{error}</Notice> : null}
          <div className="flex flex-wrap gap-2">
            {isOpen ? (
              <DecideBar
                busy={busy}
                mayApprove={mayApprove}
                rejecting={rejecting}
                onRejecting={setRejecting}
                onDecide={(verdict, reason) => void decide(verdict, reason)}
              />
            ) : null}
            {canUndo ? <UndoBar busy={busy} onDecide={(verdict, reason) => void decide(verdict, reason)} /> : null}
          </div>
        </div>
      ) : null}
    </article>
  );
}
