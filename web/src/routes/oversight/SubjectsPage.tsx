import { Plus, UserRoundSearch } from "lucide-react";
import { useState } from "react";
import { useSubjects, watch, type SubjectFootage, type SubjectRequest } from "../../api/watch";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { MomentInput } from "../../components/moment";
import { Badge, Busy, Button, Empty, Notice, Page, SelectInput, TextInput } from "../../components/ui";
import { fromWire, HOUR, toWire } from "../../domain/time";
import { StillModal } from "./StillModal";
import { Card, ReasonStep, useAct } from "../sharing/act";

const DAY = 24 * HOUR;

/** Whole days until the answer is due; negative when it is late. */
export function daysLeft(due: string, now: number): number {
  return Math.floor((fromWire(due) - now) / DAY);
}

/** Requests of people about footage of themselves: taken in, searched by time and place, answered within the term. */
export function SubjectsPage() {
  const { t, problem } = useWords();
  const list = useSubjects();
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={t("page.subjects")}
      tools={
        <Button look="primary" onPress={() => setAdding(true)}>
          <Plus size={16} aria-hidden />
          {t("subjects.add")}
        </Button>
      }
    >
      {adding ? <SubjectForm onClose={() => setAdding(false)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("subjects.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={UserRoundSearch}>{t("subjects.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((one) => (
          <SubjectCard key={one.id} request={one} />
        ))}
      </ul>
    </Page>
  );
}

function Due({ request }: { request: SubjectRequest }) {
  const { t, when } = useWords();
  if (request.state !== "received") return <strong className="font-semibold">{t(`caseState.${request.state}`)}</strong>;
  const days = daysLeft(request.due, Date.now());
  const tone = days < 0 ? "bad" : days < 7 ? "warn" : "ok";
  const words = days < 0 ? t("subjects.late", { count: -days }) : t("subjects.left", { count: days });
  return (
    <Badge tone={tone} icon={UserRoundSearch}>
      {words} ({when(request.due)})
    </Badge>
  );
}

function SubjectCard({ request }: { request: SubjectRequest }) {
  const { t, when, problem } = useWords();
  const [found, setFound] = useState<SubjectFootage[] | null>(null);
  const [still, setStill] = useState<SubjectFootage | null>(null);
  const [error, setError] = useState<string | null>(null);
  const search = async (): Promise<void> => {
    const answer = await watch.footage(request.id);
    setFound(answer.ok ? answer.value : null);
    setError(answer.ok ? null : problem(answer.problem));
  };
  return (
    <Card label={request.file_ref}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h2 className="text-[15px]">{request.file_ref}</h2>
        <Due request={request} />
      </div>
      <p className="wrap-anywhere">{request.reasons}</p>
      <p className="tabular-nums">
        {when(request.from)} – {when(request.to)} · {request.lat.toFixed(5)}, {request.lon.toFixed(5)} ·{" "}
        {t("subjects.radius", { metres: request.radius_m })}
      </p>
      <p className="text-muted">
        {t("subjects.takenIn", { name: request.received.name, when: when(request.received.at) })}
      </p>
      {request.regime === "police" ? <Notice tone="warn">{t("subjects.police")}</Notice> : null}
      {request.answer !== null ? <p className="wrap-anywhere">{request.answer}</p> : null}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {found?.length === 0 ? <p>{t("subjects.noFootage")}</p> : null}
      <ul>
        {(found ?? []).map((one) => (
          <li key={one.camera_id} className="flex flex-wrap items-center justify-between gap-2 tabular-nums">
            <span>
              {one.code} · {t("subjects.distance", { metres: one.distance_m })} ·{" "}
              {one.spans.map((span) => `${when(span.from)} – ${when(span.to)}`).join("; ")}
            </span>
            {request.state === "received" ? <Button onPress={() => setStill(one)}>{t("stills.open")}</Button> : null}
          </li>
        ))}
      </ul>
      {still !== null ? <StillModal request={request} camera={still} onClose={() => setStill(null)} /> : null}
      {request.state === "received" ? (
        <div className="flex flex-wrap justify-end gap-2">
          <Button onPress={() => void search()}>{t("subjects.search")}</Button>
          <ReasonStep label={t("oversight.refuse")} run={(text) => watch.answerSubject(request.id, true, text)} />
          <ReasonStep label={t("oversight.answer")} run={(text) => watch.answerSubject(request.id, false, text)} />
        </div>
      ) : null}
    </Card>
  );
}

function SubjectForm({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const { act, busy, error } = useAct(onClose);
  const now = Date.now();
  const [form, setForm] = useState({
    file: "",
    reasons: "",
    language: "nl",
    lat: "50.8467",
    lon: "4.3525",
    radius: "100",
  });
  const [from, setFrom] = useState<number | null>(now - 2 * HOUR);
  const [to, setTo] = useState<number | null>(now - HOUR);
  const [received, setReceived] = useState<number | null>(now - 60_000);
  const field = (name: keyof typeof form) => ({
    required: true,
    value: form[name],
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => setForm({ ...form, [name]: event.target.value }),
  });
  const whole = from !== null && to !== null && received !== null;
  return (
    <Modal title={t("subjects.add")} open onClose={onClose}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!whole) return;
          const body = {
            file_ref: form.file.trim(),
            reasons: form.reasons.trim(),
            language: form.language,
            lat: Number(form.lat),
            lon: Number(form.lon),
            radius_m: Number(form.radius),
            from: toWire(from),
            to: toWire(to),
            received_at: toWire(received),
          };
          void act(() => watch.takeIn(body));
        }}
      >
        {error !== null ? <Notice tone="bad">{error}</Notice> : null}
        <TextInput label={t("subjects.file")} maxLength={64} {...field("file")} />
        <TextInput label={t("subjects.reasons")} minLength={10} maxLength={500} {...field("reasons")} />
        <SelectInput
          label={t("subjects.language")}
          value={form.language}
          onChange={(event) => setForm({ ...form, language: event.target.value })}
          options={["nl", "fr", "en"].map((one) => ({ value: one, label: t(`language.${one}`) }))}
        />
        <div className="flex flex-wrap gap-3">
          <TextInput label={t("subjects.lat")} inputMode="decimal" {...field("lat")} />
          <TextInput label={t("subjects.lon")} inputMode="decimal" {...field("lon")} />
          <TextInput label={t("subjects.metres")} inputMode="numeric" {...field("radius")} />
        </div>
        <MomentInput label={t("subjects.from")} value={from} onChange={setFrom} />
        <MomentInput label={t("subjects.to")} value={to} onChange={setTo} />
        <MomentInput label={t("subjects.received")} value={received} onChange={setReceived} />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>{t("common.cancel")}</Button>
          <Button look="primary" type="submit" isPending={busy} isDisabled={!whole}>
            {t("subjects.add")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
