import { useQuery } from "@tanstack/react-query";
import { Plus, Power, ShieldCheck } from "lucide-react";
import { useState } from "react";
import { admin } from "../../api/calls";
import { unwrap } from "../../api/http";
import { keys } from "../../api/keys";
import { sharing, useComplaints, useFlows, type Complaint, type Flow } from "../../api/sharing";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Badge, Busy, Button, Empty, Notice, Page, SelectInput, TextInput } from "../../components/ui";
import { Card, ReasonStep, Section, useAct } from "../sharing/act";

/** The commission's page: data flows with their switch, complaints, the annual figures. */
export function OversightPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [adding, setAdding] = useState(false);
  const flows = useFlows(may("flow.view"));
  const complaints = useComplaints(may("complaint.handle"));
  const year = new Date().getFullYear();
  return (
    <Page
      title={t("page.oversight")}
      tools={
        <>
          {may("report.view") ? (
            <a className="underline" href={`/api/v1/reports/annual?year=${year}&format=csv`} download>
              {t("oversight.report", { year })}
            </a>
          ) : null}
          {may("complaint.handle") ? (
            <Button onPress={() => setAdding(true)}>
              <Plus size={16} aria-hidden />
              {t("oversight.addComplaint")}
            </Button>
          ) : null}
        </>
      }
    >
      {adding ? <ComplaintForm onClose={() => setAdding(false)} /> : null}
      {may("flow.view") ? (
        <Section title={t("oversight.flows")}>
          <p className="text-muted">{t("oversight.explain")}</p>
          {flows.isPending ? <Busy label={t("common.loading")} /> : null}
          {flows.isError ? <Notice tone="bad">{problem(flows.error)}</Notice> : null}
          <ul className="flex flex-col gap-3">
            {(flows.data ?? []).map((flow) => (
              <FlowCard key={flow.id} flow={flow} />
            ))}
          </ul>
        </Section>
      ) : null}
      {may("complaint.handle") ? (
        <Section title={t("oversight.complaints")}>
          {complaints.isError ? <Notice tone="bad">{problem(complaints.error)}</Notice> : null}
          {complaints.data?.length === 0 ? <Empty icon={ShieldCheck}>{t("oversight.noComplaints")}</Empty> : null}
          <ul className="flex flex-col gap-3 pb-4">
            {(complaints.data ?? []).map((one) => (
              <ComplaintCard key={one.id} complaint={one} />
            ))}
          </ul>
        </Section>
      ) : null}
    </Page>
  );
}

/** What the switch can do from a state. */
function steps(state: string): ("suspend" | "resume" | "withdraw" | "end")[] {
  if (state === "granted") return ["suspend", "withdraw", "end"];
  if (state === "suspended") return ["resume", "withdraw", "end"];
  if (state === "requested") return ["resume", "end"];
  return state === "ended" ? [] : ["end"];
}

function FlowCard({ flow }: { flow: Flow }) {
  const { t, code, when } = useWords();
  const purpose = flow.purpose === "*" ? t("oversight.everyPurpose") : t(`purpose.${flow.purpose}`);
  return (
    <Card label={flow.id}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3 className="wrap-anywhere">{flow.id}</h3>
        <Badge tone={flow.state === "granted" ? "ok" : "warn"} icon={Power}>
          {t(`flowState.${flow.state}`)}
        </Badge>
      </div>
      <p>
        {code("flowParty", flow.institution)} {flow.is_share ? "→" : "←"} {code("flowParty", flow.source)} · {purpose}
        {flow.grants > 0 ? ` · ${t("oversight.grants", { count: flow.grants })}` : ""}
      </p>
      {flow.last !== null ? (
        <p className="text-muted wrap-anywhere">
          {flow.last.changed.name}, {when(flow.last.changed.at)}: {flow.last.reason} {flow.last.authority}
        </p>
      ) : null}
      {flow.may_stop ? (
        <div className="flex flex-wrap justify-end gap-2">
          {steps(flow.state).map((step) => (
            <ReasonStep
              key={step}
              label={t(`flowStep.${step}`)}
              danger={step !== "resume"}
              authority
              run={(reason, authority) => sharing.turn(flow.id, step, reason, authority)}
            />
          ))}
        </div>
      ) : null}
    </Card>
  );
}

function ComplaintCard({ complaint }: { complaint: Complaint }) {
  const { t, when } = useWords();
  return (
    <Card label={complaint.channel}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>
          {complaint.channel} · {when(complaint.received.at)}
        </h3>
        <strong className="font-semibold">{t(`caseState.${complaint.state}`)}</strong>
      </div>
      <p className="wrap-anywhere">{complaint.text}</p>
      {complaint.answer !== null ? <p className="wrap-anywhere">{complaint.answer}</p> : null}
      {complaint.state === "received" ? (
        <div className="flex flex-wrap justify-end gap-2">
          <ReasonStep label={t("oversight.refuse")} run={(text) => sharing.settle(complaint.id, true, text)} />
          <ReasonStep label={t("oversight.answer")} run={(text) => sharing.settle(complaint.id, false, text)} />
        </div>
      ) : null}
    </Card>
  );
}

function ComplaintForm({ onClose }: { onClose: () => void }) {
  const { t, name } = useWords();
  const orgs = useQuery({ queryKey: keys.orgs, queryFn: async () => unwrap(await admin.orgs()) });
  const { act, busy, error } = useAct(onClose);
  const [about, setAbout] = useState("");
  const [channel, setChannel] = useState("");
  const [text, setText] = useState("");
  const chosen = about || (orgs.data?.[0]?.id ?? "");
  return (
    <Modal title={t("oversight.addComplaint")} open onClose={onClose}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          void act(() => sharing.complain(chosen, channel, text));
        }}
      >
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <SelectInput
          label={t("oversight.about")}
          value={chosen}
          onChange={(event) => setAbout(event.target.value)}
          options={(orgs.data ?? []).map((one) => ({ value: one.id, label: name(one) }))}
        />
        <TextInput
          label={t("oversight.channel")}
          required
          maxLength={40}
          value={channel}
          onChange={(event) => setChannel(event.target.value)}
        />
        <TextInput
          label={t("oversight.text")}
          required
          minLength={10}
          maxLength={500}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={chosen === ""}>
            {t("oversight.addComplaint")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
