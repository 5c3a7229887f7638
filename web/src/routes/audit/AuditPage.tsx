import { ScrollText } from "lucide-react";
import { useState } from "react";
import { useAudit, useCameras, useUsers } from "../../api/hooks";
import type { Leaf } from "../../api/types";
import { useRight, useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { MomentInput } from "../../components/moment";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { leafFacts } from "../../domain/leaf";
import { dateTime, dayRange, toWire } from "../../domain/time";

/** Leaves of the own organisation: who used what, when and why. */
export function AuditPage() {
  const { t, name, problem } = useWords();
  const [from, setFrom] = useState<number | null>(() => dayRange(Date.now()).from);
  const [to, setTo] = useState<number | null>(() => dayRange(Date.now()).to);
  const may = useRight();
  const session = useSession();
  const users = useUsers(may("user.admin"));
  const who = (leaf: Leaf, told: string): string => {
    if (told !== "") return told;
    if (leaf.user_id === null) return t("audit.system");
    if (leaf.user_id === session.user.id) return session.user.name;
    return users.data?.find((user) => user.id === leaf.user_id)?.name ?? leaf.user_id;
  };
  const cameras = useCameras(may("camera.list"));
  const place = (id: string): string => {
    const camera = cameras.data?.find((one) => one.id === id);
    return camera === undefined ? id : `${name(camera)} (${camera.code})`;
  };
  // An empty field: from the start, or up to the end of today.
  const list = useAudit(toWire(from ?? 0), toWire(to ?? dayRange(Date.now()).to));
  const leaves = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page
      title={t("page.audit")}
      tools={
        <>
          <MomentInput label={t("reads.from")} value={from} onChange={setFrom} />
          <MomentInput label={t("reads.to")} value={to} onChange={setTo} />
        </>
      }
    >
      <p className="px-4 py-3 text-muted">{t("audit.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.isSuccess && leaves.length === 0 ? <Empty icon={ScrollText}>{t("audit.none")}</Empty> : null}
      {leaves.length > 0 ? (
        <table>
          <caption className="sr-only">{t("page.audit")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("audit.leaf")}</th>
              <th scope="col">{t("audit.time")}</th>
              <th scope="col">{t("audit.operation")}</th>
              <th scope="col">{t("audit.who")}</th>
              <th scope="col">{t("audit.what")}</th>
              <th scope="col">{t("audit.why")}</th>
              <th scope="col">{t("audit.details")}</th>
            </tr>
          </thead>
          <tbody>
            {leaves.map((leaf) => (
              <LeafRow key={leaf.index} leaf={leaf} who={who} place={place} />
            ))}
          </tbody>
        </table>
      ) : null}
      {list.hasNextPage ? (
        <div className="flex justify-center p-4">
          <Button onPress={() => void list.fetchNextPage()}>{t("common.more")}</Button>
        </div>
      ) : null}
    </Page>
  );
}

function LeafRow({
  leaf,
  who,
  place,
}: {
  leaf: Leaf;
  who: (leaf: Leaf, told: string) => string;
  place: (camera: string) => string;
}) {
  const { t, code, when, language } = useWords();
  const facts = leafFacts(leaf.details);
  const what = facts.camera === "" ? facts.object : place(facts.camera);
  return (
    <tr>
      <td className="tabular-nums">{leaf.index}</td>
      <td className="whitespace-nowrap tabular-nums">{when(leaf.at)}</td>
      <td>
        {facts.right === "" ? code("operation", leaf.operation) : code("right", facts.right)}
        <div className="text-xs text-muted">
          {[facts.right === "" ? "" : code("operation", leaf.operation), code("outcome", facts.outcome)]
            .filter(Boolean)
            .join(" · ")}
        </div>
      </td>
      <td className="wrap-anywhere">
        {who(leaf, facts.actor)}
        {facts.actorOrg !== "" ? <div className="text-xs text-muted">{facts.actorOrg}</div> : null}
      </td>
      <td className="wrap-anywhere">
        {what}
        {facts.range !== null ? (
          <div className="text-xs text-muted tabular-nums">
            {dateTime(facts.range.from, language)} – {dateTime(facts.range.to, language)}
          </div>
        ) : null}
        {facts.units !== null ? (
          <div className="text-xs text-muted">{t("audit.units", { count: facts.units })}</div>
        ) : null}
      </td>
      <td className="wrap-anywhere">
        {code("purpose", facts.purpose)}
        {facts.justification !== "" ? <div className="text-xs text-muted">{facts.justification}</div> : null}
        {facts.caseRef !== "" ? <div className="text-xs text-muted">{facts.caseRef}</div> : null}
      </td>
      <td>
        <details>
          <summary className="min-h-6 cursor-pointer whitespace-nowrap text-muted">{t("audit.show")}</summary>
          <pre className="max-w-[60ch] overflow-auto text-xs whitespace-pre-wrap text-muted">
            {JSON.stringify(leaf, null, 1)}
          </pre>
        </details>
      </td>
    </tr>
  );
}
