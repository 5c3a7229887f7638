import { ListChecks, Plus } from "lucide-react";
import { useState } from "react";
import { useOrgs } from "../../api/hooks";
import { keys } from "../../api/keys";
import { useWatchlist, useWatchSizes, watchlist, type Entry, type WatchSize } from "../../api/watchlist";
import { useRight } from "../../app/sessionContext";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Plate } from "../../components/Plate";
import { ReasonForm } from "../../components/ReasonForm";
import { SettleRow } from "../../components/SettleRow";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { AddEntry } from "./AddEntry";

/** Plates that the own zone looks for; overseers see the sizes of lists only. */
export function WatchlistPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [adding, setAdding] = useState<"regular" | "urgent" | null>(null);
  const views = may("watchlist.view");
  const list = useWatchlist(views);
  const sizes = useWatchSizes(may("watchlist.summary"));
  const entries = list.data ?? [];
  const waiting = entries.filter((one) => one.state === "proposed").length;
  return (
    <Page
      title={t("page.watchlist")}
      tools={
        <>
          {may("watchlist.edit") ? (
            <Button look="primary" onPress={() => setAdding("regular")}>
              <Plus size={16} aria-hidden />
              {t("watchlist.add")}
            </Button>
          ) : null}
          {may("watchlist.urgent") ? (
            <Button onPress={() => setAdding("urgent")}>
              <Plus size={16} aria-hidden />
              {t("watchlist.addUrgent")}
            </Button>
          ) : null}
        </>
      }
    >
      {adding !== null ? <AddEntry urgent={adding === "urgent"} onClose={() => setAdding(null)} /> : null}
      <p className="px-4 pt-3 text-muted">{views ? t("watchlist.explain") : t("watchlist.explainSizes")}</p>
      {waiting > 0 ? (
        <div className="px-4 pt-3">
          <Notice tone="warn">{t("watchlist.waiting", { count: waiting })}</Notice>
        </div>
      ) : null}
      {views && list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError || sizes.isError ? (
        <div className="px-4 pt-3">
          <Notice tone="bad">{problem(list.error ?? sizes.error ?? "internal")}</Notice>
        </div>
      ) : null}
      {views && list.isSuccess && entries.length === 0 ? <Empty icon={ListChecks}>{t("watchlist.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {entries.map((one) => (
          <EntryCard key={one.id} one={one} />
        ))}
      </ul>
      {sizes.data !== undefined ? <Sizes sizes={sizes.data} /> : null}
    </Page>
  );
}

function EntryCard({ one }: { one: Entry }) {
  const { t, when } = useWords();
  const { act, busy, error } = useAct([keys.watchlist]);
  const [ending, setEnding] = useState(false);
  const leave = (): void => setEnding(false);
  return (
    <li>
      <article className="flex flex-col gap-1.5 rounded-lg border border-line bg-panel p-4">
        <div className="flex flex-wrap items-baseline justify-between gap-3">
          <Plate text={one.plate} country={one.country} large />
          <span className="text-muted">{t(`watchKind.${one.kind}`)}</span>
          <strong className="font-semibold">{t(`watchState.${one.state}`)}</strong>
        </div>
        <p className="wrap-anywhere">
          {t(`purpose.${one.purpose}`, { defaultValue: one.purpose })} · {one.case_ref} · {one.reason}
        </p>
        <p className="text-muted">
          {t("watchlist.proposedBy", { name: one.proposed.name, when: when(one.proposed.at) })}
          {one.settled ? ` · ${t("watchlist.settledBy", { name: one.settled.name, when: when(one.settled.at) })}` : ""}
        </p>
        {one.refusal !== null ? <p className="wrap-anywhere">{t("watchlist.refusal", { text: one.refusal })}</p> : null}
        <p className="text-xs text-muted">{t("watchlist.until", { when: when(one.ends_at) })}</p>
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        {one.may_settle ? (
          <SettleRow
            may
            refuse={t("watchlist.refuse")}
            why={t("watchlist.refuseWhy")}
            busy={busy}
            onRefuse={(reason, done) => void act(() => watchlist.refuse(one.id, reason), done)}
          >
            <Button look="primary" isPending={busy} onPress={() => void act(() => watchlist.approve(one.id))}>
              {t("watchlist.approve")}
            </Button>
          </SettleRow>
        ) : null}
        {one.may_end && ending ? (
          <ReasonForm
            label={t("watchlist.endWhy")}
            send={t("watchlist.end")}
            look="danger"
            busy={busy}
            onSend={(reason) => void act(() => watchlist.end(one.id, reason), leave)}
            onCancel={leave}
          />
        ) : null}
        {one.may_end && !ending ? (
          <div className="flex justify-end">
            <Button isPending={busy} onPress={() => setEnding(true)}>
              {t("watchlist.end")}
            </Button>
          </div>
        ) : null}
      </article>
    </li>
  );
}

function Sizes({ sizes }: { sizes: readonly WatchSize[] }) {
  const { t, name, when } = useWords();
  const orgs = new Map((useOrgs().data ?? []).map((org) => [org.id, org]));
  const zone = (id: string): string => {
    const org = orgs.get(id);
    return org === undefined ? id : name(org);
  };
  if (sizes.length === 0) return <Empty icon={ListChecks}>{t("watchlist.none")}</Empty>;
  return (
    <table>
      <caption className="sr-only">{t("watchlist.sizes")}</caption>
      <thead>
        <tr>
          <th scope="col">{t("watchlist.zone")}</th>
          <th scope="col">{t("watchlist.kind")}</th>
          <th scope="col">{t("why.purpose")}</th>
          <th scope="col">{t("watchlist.entries")}</th>
          <th scope="col">{t("watchlist.oldest")}</th>
          <th scope="col">{t("watchlist.lastEnds")}</th>
        </tr>
      </thead>
      <tbody>
        {sizes.map((one) => (
          <tr key={`${one.org_id} ${one.kind} ${one.purpose}`}>
            <td>{zone(one.org_id)}</td>
            <td>{t(`watchKind.${one.kind}`)}</td>
            <td>{t(`purpose.${one.purpose}`, { defaultValue: one.purpose })}</td>
            <td className="tabular-nums">{one.entries}</td>
            <td className="tabular-nums">{when(one.oldest_at)}</td>
            <td className="tabular-nums">{when(one.last_ends_at)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
