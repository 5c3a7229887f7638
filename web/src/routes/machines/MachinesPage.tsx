import { Bot, Plus, UserCheck, UserX } from "lucide-react";
import { useState } from "react";
import { useOrgs } from "../../api/hooks";
import { keys } from "../../api/keys";
import { machines, useCertificates, useMachines, type Certificate } from "../../api/machines";
import type { User } from "../../api/types";
import { useAct } from "../../app/useAct";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Badge, Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { fingerprintWords } from "../../domain/certificate";
import { Card } from "../sharing/act";
import { AddCertificate } from "./AddCertificate";
import { AddMachine } from "./AddMachine";
import { CertificateTable } from "./CertificateTable";

/** Accounts of machines and the certificates by which each is known. */
export function MachinesPage() {
  const { t, problem } = useWords();
  const list = useMachines();
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={t("page.machines")}
      tools={
        <Button look="primary" onPress={() => setAdding(true)}>
          <Plus size={16} aria-hidden />
          {t("machines.add")}
        </Button>
      }
    >
      <p className="px-4 pt-3 text-muted">{t("machines.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={Bot}>{t("machines.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((one) => (
          <MachineCard key={one.id} machine={one} />
        ))}
      </ul>
      {adding ? <AddMachine onClose={() => setAdding(false)} /> : null}
    </Page>
  );
}

function MachineCard({ machine }: { machine: User }) {
  const { t, name, problem } = useWords();
  const orgs = useOrgs();
  const list = useCertificates(machine.id);
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<Certificate | null>(null);
  const org = orgs.data?.find((one) => one.id === machine.org_id);
  const enabled = !machine.disabled;
  return (
    <Card label={machine.name}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h2 className="text-[15px]">{machine.name}</h2>
        <Badge tone={enabled ? "ok" : "muted"} icon={enabled ? UserCheck : UserX}>
          {enabled ? t("users.enabled") : t("users.disabled")}
        </Badge>
      </div>
      <p className="text-muted">{[machine.user_name, ...(org === undefined ? [] : [name(org)])].join(" · ")}</p>
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Notice tone="warn">{t("machines.noCertificate")}</Notice> : null}
      {list.data !== undefined && list.data.length > 0 ? (
        <CertificateTable
          machine={machine.name}
          certificates={list.data}
          nowMs={list.dataUpdatedAt}
          onRevoke={setEnding}
        />
      ) : null}
      <div className="flex justify-end">
        <Button onPress={() => setAdding(true)}>{t("machines.addCertificate")}</Button>
      </div>
      {adding ? <AddCertificate machine={machine} onClose={() => setAdding(false)} /> : null}
      {ending !== null ? <Revoke machine={machine} certificate={ending} onClose={() => setEnding(null)} /> : null}
    </Card>
  );
}

/** It is never undone, so it is asked for once more, with the fingerprint in sight. */
function Revoke({ machine, certificate, onClose }: { machine: User; certificate: Certificate; onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error } = useAct([keys.certificates]);
  return (
    <Modal title={t("machines.revokeTitle", { name: certificate.name })} open onClose={onClose}>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <p>{t("machines.revokeWarn", { name: machine.name })}</p>
      <code className="text-xs wrap-anywhere">{fingerprintWords(certificate.fingerprint)}</code>
      <div className="flex justify-end gap-2">
        <Button onPress={onClose} autoFocus>
          {t("common.cancel")}
        </Button>
        <Button
          look="danger"
          isPending={busy}
          onPress={() => void act(() => machines.revoke(machine.id, certificate.fingerprint), onClose)}
        >
          {t("machines.revoke")}
        </Button>
      </div>
    </Modal>
  );
}
