import { Handshake, Plus } from "lucide-react";
import { useState } from "react";
import { sharing, useGrants, useRequests, type Grant, type ShareRequest } from "../../api/sharing";
import { useRight, useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { Card, ReasonStep, Section, useAct } from "./act";
import { ShareForm } from "./ShareForm";

/** Who shares what with whom: wishes that wait, and shares in force. */
export function SharingPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [past, setPast] = useState(false);
  const [form, setForm] = useState<"give" | "ask" | null>(null);
  const grants = useGrants(may("grant.view"));
  const requests = useRequests(past);
  return (
    <Page
      title={t("page.sharing")}
      tools={
        <>
          <label className="flex items-center gap-1.5 text-muted">
            <input type="checkbox" checked={past} onChange={(event) => setPast(event.target.checked)} />
            {t("sharing.past")}
          </label>
          {may("grant.request") ? (
            <Button onPress={() => setForm("ask")}>
              <Plus size={16} aria-hidden />
              {t("sharing.ask")}
            </Button>
          ) : null}
          {may("camera.share") ? (
            <Button look="primary" onPress={() => setForm("give")}>
              <Plus size={16} aria-hidden />
              {t("sharing.give")}
            </Button>
          ) : null}
        </>
      }
    >
      {form !== null ? <ShareForm kind={form} onClose={() => setForm(null)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("sharing.explain")}</p>
      <Section title={t("sharing.requests")}>
        {requests.isPending ? <Busy label={t("common.loading")} /> : null}
        {requests.isError ? <Notice tone="bad">{problem(requests.error)}</Notice> : null}
        {requests.data?.length === 0 ? <p className="text-muted">{t("sharing.noRequests")}</p> : null}
        <ul className="flex flex-col gap-3">
          {(requests.data ?? []).map((one) => (
            <RequestCard key={one.id} request={one} />
          ))}
        </ul>
      </Section>
      {may("grant.view") ? (
        <Section title={t("sharing.grants")}>
          {grants.isPending ? <Busy label={t("common.loading")} /> : null}
          {grants.isError ? <Notice tone="bad">{problem(grants.error)}</Notice> : null}
          {grants.data?.length === 0 ? <Empty icon={Handshake}>{t("sharing.none")}</Empty> : null}
          {grants.data !== undefined && grants.data.length > 0 ? <GrantTable grants={grants.data} /> : null}
        </Section>
      ) : null}
    </Page>
  );
}

function RequestCard({ request }: { request: ShareRequest }) {
  const { t, name, when } = useWords();
  const { act, busy, error } = useAct();
  const cameras = request.camera_codes.join(", ");
  const who = (org: ShareRequest["owner"]): string => (org === null ? "–" : name(org));
  return (
    <Card label={cameras}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>
          {who(request.partner)} → {who(request.owner)}
        </h3>
        <strong className="font-semibold">{t(`shareState.${request.state}`)}</strong>
      </div>
      <p className="wrap-anywhere">
        {cameras} · {request.rights.map((right) => t(`right.${right.replace(".", "_")}`)).join(", ")}
        {request.profile === null ? "" : ` · ${request.profile}`}
        {request.purpose === null ? "" : ` · ${t(`purpose.${request.purpose}`)}`}
      </p>
      <p className="tabular-nums">
        {when(request.from)} – {when(request.to)}
      </p>
      <p className="wrap-anywhere">{request.reason}</p>
      <p className="text-muted">{t("sharing.askedBy", { name: request.asked.name, when: when(request.asked.at) })}</p>
      {request.first !== null ? (
        <p className="text-muted">{t("sharing.firstBy", { name: request.first.name })}</p>
      ) : null}
      {request.answer !== null ? <p className="wrap-anywhere">{request.answer}</p> : null}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <div className="flex flex-wrap justify-end gap-2">
        {request.may_withdraw ? (
          <Button isPending={busy} onPress={() => void act(() => sharing.answer(request.id, "withdraw", ""))}>
            {t("sharing.withdraw")}
          </Button>
        ) : null}
        {request.may_answer ? (
          <>
            <ReasonStep label={t("sharing.refuse")} run={(reason) => sharing.answer(request.id, "refuse", reason)} />
            <Button
              look="primary"
              isPending={busy}
              onPress={() => void act(() => sharing.answer(request.id, "approve", ""))}
            >
              {t("sharing.approve")}
            </Button>
          </>
        ) : null}
      </div>
    </Card>
  );
}

function GrantTable({ grants }: { grants: Grant[] }) {
  const { t, name, when } = useWords();
  const may = useRight();
  const { org } = useSession();
  const { act, busy, error } = useAct();
  const who = (one: Grant["owner"]): string => (one === null ? "–" : name(one));
  return (
    <>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <table className="w-full text-left">
        <thead className="text-muted">
          <tr>
            {["camera", "owner", "partner", "what", "until", "step"].map((column) => (
              <th key={column} scope="col" className="py-1 pr-3 font-normal">
                {t(`sharing.column.${column}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grants.map((grant) => (
            <tr key={grant.id} className="border-t border-line">
              <td className="py-1 pr-3">{grant.camera_code ?? "–"}</td>
              <td className="pr-3">{who(grant.owner)}</td>
              <td className="pr-3">
                {who(grant.partner)}
                {grant.profile === null ? "" : ` · ${grant.profile}`}
              </td>
              <td className="pr-3">
                {t(`right.${grant.right.replace(".", "_")}`)}
                {grant.purpose === null ? "" : ` · ${t(`purpose.${grant.purpose}`)}`}
              </td>
              <td className="pr-3 tabular-nums">{when(grant.to)}</td>
              <td>
                {may("camera.share") && grant.owner?.id === org.id ? (
                  <Button look="danger" isPending={busy} onPress={() => void act(() => sharing.takeBack(grant.id))}>
                    {t("sharing.takeBack")}
                  </Button>
                ) : null}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
