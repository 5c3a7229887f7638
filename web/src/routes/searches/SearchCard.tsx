import { gatedSearches } from "../../api/gatedSearches";
import { keys } from "../../api/keys";
import type { Camera, GatedSearch } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { SettleRow } from "../../components/SettleRow";
import { Button, Notice } from "../../components/ui";
import { fromWire, HOUR } from "../../domain/time";
import { OpenSearch } from "./OpenSearch";
import { useSearchWords } from "./words";

/** One order: what is looked for, on what ground, who, until when, and the steps that are open to whoever looks. */
export function SearchCard({ one, cameras }: { one: GatedSearch; cameras: ReadonlyMap<string, Camera> }) {
  const { t, when } = useWords();
  const { what, where, span } = useSearchWords()(one);
  const { settled } = one;
  return (
    <li>
      <article
        aria-label={`${what}, ${where}`}
        className="flex flex-col gap-1.5 rounded-lg border border-line bg-panel p-4"
      >
        <div className="flex flex-wrap items-baseline justify-between gap-3">
          <h2 className="text-[15px]">
            {what} · {where}
          </h2>
          <strong className="font-semibold">{t(`gatedState.${one.state}`)}</strong>
        </div>
        <p className="tabular-nums">{span}</p>
        <p className="wrap-anywhere">
          {t(`purpose.${one.purpose}`, { defaultValue: one.purpose })} · {one.case_ref} · {one.ground}
        </p>
        <p className="wrap-anywhere">{t("searches.magistrateIs", { reference: one.magistrate_ref })}</p>
        <p className="text-muted">
          {t("searches.orderedBy", { name: one.proposed.name, when: when(one.proposed.at) })}
          {settled !== null && one.state === "in_force"
            ? ` · ${t("gated.agreedBy", { name: settled.name, when: when(settled.at) })}`
            : ""}
          {settled !== null && one.state === "refused"
            ? ` · ${t("gated.refusedBy", { name: settled.name, when: when(settled.at) })}`
            : ""}
        </p>
        {one.refusal !== null ? <p className="wrap-anywhere">{t("gated.refusal", { text: one.refusal })}</p> : null}
        <p className="text-muted">
          {one.state === "in_force"
            ? t("searches.opensUntil", { name: one.proposed.name, when: when(one.expires_at) })
            : one.state === "proposed"
              ? t("searches.lapses", { when: when(one.expires_at) })
              : t("searches.erased", { when: when(one.expires_at) })}
        </p>
        {one.may_settle ? <Settle one={one} /> : null}
        {one.may_open ? <OpenSearch one={one} cameras={cameras} /> : null}
      </article>
    </li>
  );
}

/** Says to the second person what agreeing does, in full, before the button. */
function Settle({ one }: { one: GatedSearch }) {
  const { t } = useWords();
  const { act, busy, error } = useAct([keys.gatedSearches]);
  const { what, where, span } = useSearchWords()(one);
  // Agreeing begins the same term anew.
  const days = Math.round((fromWire(one.expires_at) - fromWire(one.proposed.at)) / (24 * HOUR));
  return (
    <div className="flex flex-col gap-2">
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <Notice tone="warn">
        <p>{t("searches.agreeWhat", { name: one.proposed.name, days, what, where, span })}</p>
        <p>{t("searches.agreeCheck", { reference: one.magistrate_ref })}</p>
      </Notice>
      <SettleRow
        may
        refuse={t("gated.refuse")}
        why={t("searches.refuseWhy")}
        busy={busy}
        onRefuse={(reason, done) => void act(() => gatedSearches.refuse(one.id, reason), done)}
      >
        <Button look="primary" isPending={busy} onPress={() => void act(() => gatedSearches.approve(one.id))}>
          {t("gated.agree")}
        </Button>
      </SettleRow>
    </div>
  );
}
