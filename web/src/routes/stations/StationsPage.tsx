import { useQuery } from "@tanstack/react-query";
import { MonitorCheck, Plus } from "lucide-react";
import { useState } from "react";
import { admin } from "../../api/calls";
import { unwrap } from "../../api/http";
import { keys } from "../../api/keys";
import { useStations, watch, type Station } from "../../api/watch";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Badge, Busy, Button, Empty, Notice, Page, SelectInput, TextInput } from "../../components/ui";
import { Card, useAct } from "../sharing/act";

/** Workstations that stand under the eyes of the police (Camera Act, article 5 §4). */
export function StationsPage() {
  const { t, problem } = useWords();
  const list = useStations();
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={t("page.stations")}
      tools={
        <Button look="primary" onPress={() => setAdding(true)}>
          <Plus size={16} aria-hidden />
          {t("stations.add")}
        </Button>
      }
    >
      {adding ? <StationForm onClose={() => setAdding(false)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("stations.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={MonitorCheck}>{t("stations.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((one) => (
          <StationCard key={one.id} station={one} />
        ))}
      </ul>
    </Page>
  );
}

function StationCard({ station }: { station: Station }) {
  const { t, when } = useWords();
  const { act, busy, error } = useAct();
  const on = station.revoked_at === null;
  return (
    <Card label={station.name}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h2 className="text-[15px]">{station.name}</h2>
        <Badge tone={on ? "ok" : "muted"} icon={MonitorCheck}>
          {on ? t("stations.registered") : t("stations.revoked", { when: when(station.revoked_at) })}
        </Badge>
      </div>
      <p className="wrap-anywhere">{station.agreement}</p>
      <p className="text-muted">
        {station.registered.name}, {when(station.registered.at)}
      </p>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {on ? (
        <div className="flex justify-end">
          <Button look="danger" isPending={busy} onPress={() => void act(() => watch.endStation(station.id))}>
            {t("stations.end")}
          </Button>
        </div>
      ) : null}
    </Card>
  );
}

function StationForm({ onClose }: { onClose: () => void }) {
  const { t, name: nameOf } = useWords();
  const session = useSession();
  const orgs = useQuery({ queryKey: keys.orgs, queryFn: async () => unwrap(await admin.orgs()) });
  const [code, setCode] = useState<string | null>(null);
  const { act, busy, error } = useAct();
  const [org, setOrg] = useState(session.org.id);
  const [name, setName] = useState("");
  const [agreement, setAgreement] = useState("");
  const register = async () => {
    const answer = await watch.addStation(org, name.trim(), agreement.trim());
    if (answer.ok) setCode(answer.value.code);
    return answer;
  };
  return (
    <Modal title={t("stations.add")} open onClose={onClose}>
      {code !== null ? (
        <div className="flex flex-col gap-3">
          <Notice tone="warn">{t("stations.codeOnce")}</Notice>
          <code className="text-[15px] wrap-anywhere">{code}</code>
          <div className="flex justify-end">
            <Button look="primary" onPress={onClose}>
              {t("common.close")}
            </Button>
          </div>
        </div>
      ) : (
        <form
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            void act(register);
          }}
        >
          {error !== null ? <Notice tone="bad">{error}</Notice> : null}
          <SelectInput
            label={t("stations.org")}
            value={org}
            onChange={(event) => setOrg(event.target.value)}
            options={(orgs.data ?? []).map((one) => ({ value: one.id, label: nameOf(one) }))}
          />
          <TextInput
            label={t("stations.name")}
            required
            maxLength={80}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <TextInput
            label={t("stations.agreement")}
            required
            minLength={10}
            maxLength={200}
            value={agreement}
            onChange={(event) => setAgreement(event.target.value)}
          />
          <div className="flex justify-end gap-2">
            <Button onPress={onClose}>{t("common.cancel")}</Button>
            <Button look="primary" type="submit" isPending={busy}>
              {t("stations.add")}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}
