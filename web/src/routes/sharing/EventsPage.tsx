import { CalendarClock, Plus, Siren } from "lucide-react";
import { useState } from "react";
import { sharing, useEmergencies, useSharingEvents, type Emergency, type SharingEvent } from "../../api/sharing";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Badge, Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { fromWire, HOUR, toWire } from "../../domain/time";
import { Card, ReasonStep, Section, useAct } from "./act";
import { ActivateForm, BreakGlassForm } from "./EventForms";

/** Events and emergency access: who sees more than usual, on whose authority, until when, and what was used. */
export function EventsPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const [past, setPast] = useState(false);
  const [form, setForm] = useState<"event" | "glass" | null>(null);
  const events = useSharingEvents(past);
  const emergencies = useEmergencies();
  return (
    <Page
      title={t("page.events")}
      tools={
        <>
          <label className="flex items-center gap-1.5 text-muted">
            <input type="checkbox" checked={past} onChange={(event) => setPast(event.target.checked)} />
            {t("sharing.past")}
          </label>
          {may("break_glass") ? (
            <Button look="danger" onPress={() => setForm("glass")}>
              <Siren size={16} aria-hidden />
              {t("events.breakGlass")}
            </Button>
          ) : null}
          {may("event.activate") ? (
            <Button look="primary" onPress={() => setForm("event")}>
              <Plus size={16} aria-hidden />
              {t("events.activate")}
            </Button>
          ) : null}
        </>
      }
    >
      {form === "event" ? <ActivateForm onClose={() => setForm(null)} /> : null}
      {form === "glass" ? <BreakGlassForm onClose={() => setForm(null)} /> : null}
      <Section title={t("events.events")}>
        {events.isPending ? <Busy label={t("common.loading")} /> : null}
        {events.isError ? <Notice tone="bad">{problem(events.error)}</Notice> : null}
        {events.data?.length === 0 ? <Empty icon={CalendarClock}>{t("events.none")}</Empty> : null}
        <ul className="flex flex-col gap-3">
          {(events.data ?? []).map((one) => (
            <EventCard key={one.id} event={one} />
          ))}
        </ul>
      </Section>
      <Section title={t("events.emergencies")}>
        <p className="text-muted">{t("events.emergencyExplain")}</p>
        {emergencies.isError ? <Notice tone="bad">{problem(emergencies.error)}</Notice> : null}
        {emergencies.data?.length === 0 ? <p className="text-muted">{t("events.noEmergencies")}</p> : null}
        <ul className="flex flex-col gap-3 pb-4">
          {(emergencies.data ?? []).map((one) => (
            <EmergencyCard key={one.id} emergency={one} />
          ))}
        </ul>
      </Section>
    </Page>
  );
}

function EventCard({ event }: { event: SharingEvent }) {
  const { t, when } = useWords();
  const uses = event.uses.reduce((sum, one) => sum + one.uses, 0);
  const later = toWire(Math.max(Date.now(), fromWire(event.to)) + HOUR);
  return (
    <Card label={event.name}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>
          {event.name} · {t(`eventKind.${event.kind}`)}
        </h3>
        <Badge tone={event.in_force ? "warn" : "muted"} icon={CalendarClock}>
          {event.in_force ? t("events.inForce") : t("events.notInForce")}
        </Badge>
      </div>
      <p className="tabular-nums">
        {when(event.from)} – {when(event.to)}
      </p>
      <p className="wrap-anywhere">
        {t("events.cameras", { count: event.cameras })} · {event.authority} · {event.reason}
      </p>
      <p className="text-muted">
        {t("events.activatedBy", { name: event.activated.name, when: when(event.activated.at) })}
        {event.ended === null
          ? ""
          : ` · ${t("events.endedBy", { name: event.ended.name, when: when(event.ended.at) })}`}
      </p>
      <p>{t("events.uses", { count: uses })}</p>
      {event.uses.length > 0 ? (
        <ul className="text-muted">
          {event.uses.map((one) => (
            <li key={`${one.camera_id}-${one.by}-${one.right}`}>
              {one.by ?? "–"} → {one.owner ?? "–"} · {t(`right.${one.right.replace(".", "_")}`)} · {one.uses}
            </li>
          ))}
        </ul>
      ) : null}
      {event.may_change ? (
        <div className="flex flex-wrap justify-end gap-2">
          <ReasonStep
            label={t("events.extend")}
            authority
            run={(reason, authority) => sharing.extend(event.id, later, authority || event.authority, reason)}
          />
          <ReasonStep label={t("events.end")} danger run={(reason) => sharing.end(event.id, reason)} />
        </div>
      ) : null}
    </Card>
  );
}

function EmergencyCard({ emergency }: { emergency: Emergency }) {
  const { t, when } = useWords();
  const { act, busy, error } = useAct();
  const cameras = emergency.camera_codes.join(", ");
  return (
    <Card label={cameras}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>
          {emergency.by ?? "–"} → {emergency.owners.join(", ")}
        </h3>
        <Badge tone={emergency.in_force ? "bad" : "muted"} icon={Siren}>
          {emergency.in_force ? t("events.until", { when: when(emergency.until) }) : t("events.over")}
        </Badge>
      </div>
      <p className="wrap-anywhere">
        {cameras} · {t(`purpose.${emergency.purpose}`)} · {emergency.reason}
      </p>
      <p className="text-muted">
        {t("events.openedBy", { name: emergency.opened.name, when: when(emergency.opened.at) })}
      </p>
      {emergency.review === null ? (
        <p>{t("events.reviewBy", { when: when(emergency.review_by) })}</p>
      ) : (
        <p className="wrap-anywhere">
          {emergency.review.justified ? t("events.justified") : t("events.notJustified")} · {emergency.review.reason} ·{" "}
          {emergency.review.by.name}
        </p>
      )}
      {emergency.overdue ? <Notice tone="warn">{t("events.overdue")}</Notice> : null}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <div className="flex flex-wrap justify-end gap-2">
        {emergency.may_end ? (
          <Button look="danger" isPending={busy} onPress={() => void act(() => sharing.endEmergency(emergency.id))}>
            {t("events.end")}
          </Button>
        ) : null}
        {emergency.may_review ? (
          <>
            <ReasonStep
              label={t("events.sayNotJustified")}
              danger
              run={(reason) => sharing.review(emergency.id, false, reason)}
            />
            <ReasonStep label={t("events.sayJustified")} run={(reason) => sharing.review(emergency.id, true, reason)} />
          </>
        ) : null}
      </div>
    </Card>
  );
}
