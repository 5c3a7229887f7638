import { Bell, BellRing, Users } from "lucide-react";
import {
  useAnomalies,
  useNotices,
  useSeconds,
  watch,
  type Anomaly,
  type SecondWish,
  type SharingNotice,
} from "../../api/watch";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Badge, Busy, Button, Empty, Notice, Page } from "../../components/ui";
import { Card, ReasonStep, Section, useAct } from "../sharing/act";

/** Rights whose holders ask for something that waits for a second person, agree to it, or look over it. */
const SECONDS = ["partner.admin", "partner.approve", "camera.retire", "camera.retire.approve", "grant.view"];

/** What somebody has to know or to do: second persons, alarms about uses, and notices of what others did with own cameras. */
export function NoticesPage() {
  const { t, problem } = useWords();
  const may = useRight();
  const seconds = useSeconds(SECONDS.some(may));
  const alarms = useAnomalies(may("complaint.handle"));
  const notices = useNotices(may("grant.view"));
  return (
    <Page title={t("page.notices")}>
      {SECONDS.some(may) ? (
        <Section title={t("notices.seconds")}>
          <p className="text-muted">{t("notices.secondsExplain")}</p>
          {seconds.isError ? <Notice tone="bad">{problem(seconds.error)}</Notice> : null}
          {seconds.data?.length === 0 ? <Empty icon={Users}>{t("notices.noSeconds")}</Empty> : null}
          <ul className="flex flex-col gap-3">
            {(seconds.data ?? []).map((one) => (
              <SecondCard key={one.id} wish={one} />
            ))}
          </ul>
        </Section>
      ) : null}
      {may("complaint.handle") ? (
        <Section title={t("notices.alarms")}>
          <p className="text-muted">{t("notices.alarmsExplain")}</p>
          {alarms.isError ? <Notice tone="bad">{problem(alarms.error)}</Notice> : null}
          {alarms.data?.length === 0 ? <Empty icon={BellRing}>{t("notices.noAlarms")}</Empty> : null}
          <ul className="flex flex-col gap-3">
            {(alarms.data ?? []).map((one) => (
              <AlarmCard key={one.id} alarm={one} />
            ))}
          </ul>
        </Section>
      ) : null}
      {may("grant.view") ? (
        <Section title={t("notices.notices")}>
          {notices.isPending ? <Busy label={t("common.loading")} /> : null}
          {notices.isError ? <Notice tone="bad">{problem(notices.error)}</Notice> : null}
          {notices.data?.length === 0 ? <Empty icon={Bell}>{t("notices.none")}</Empty> : null}
          <ul className="flex flex-col gap-2 pb-4">
            {(notices.data ?? []).map((one) => (
              <NoticeLine key={one.id} notice={one} />
            ))}
          </ul>
        </Section>
      ) : null}
    </Page>
  );
}

function SecondCard({ wish }: { wish: SecondWish }) {
  const { t, when } = useWords();
  const { act, busy, error } = useAct();
  return (
    <Card label={wish.name}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>
          {t(`secondKind.${wish.kind}`)}: {wish.name}
        </h3>
        <strong className="font-semibold">{t(`secondState.${wish.state}`)}</strong>
      </div>
      {wish.kind === "camera_retire" ? <p className="wrap-anywhere">{wish.reason}</p> : null}
      <p className="text-muted">
        {t("sharing.askedBy", { name: wish.asked.name, when: when(wish.asked.at) })}
        {wish.settled === null ? "" : ` · ${wish.settled.name}, ${when(wish.settled.at)}`}
      </p>
      {wish.answer !== null ? <p className="wrap-anywhere">{wish.answer}</p> : null}
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      <div className="flex flex-wrap justify-end gap-2">
        {wish.may_withdraw ? (
          <Button isPending={busy} onPress={() => void act(() => watch.settleSecond(wish.id, "withdraw", ""))}>
            {t("sharing.withdraw")}
          </Button>
        ) : null}
        {wish.may_settle ? (
          <>
            <ReasonStep label={t("sharing.refuse")} run={(reason) => watch.settleSecond(wish.id, "refuse", reason)} />
            <Button
              look="primary"
              isPending={busy}
              onPress={() => void act(() => watch.settleSecond(wish.id, "approve", ""))}
            >
              {t("sharing.approve")}
            </Button>
          </>
        ) : null}
      </div>
    </Card>
  );
}

function AlarmCard({ alarm }: { alarm: Anomaly }) {
  const { t, when } = useWords();
  const minutes = Math.round(alarm.window_s / 60);
  const open = alarm.state === "open";
  return (
    <Card label={alarm.user_id}>
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h3>{t(`anomalyRule.${alarm.rule}`)}</h3>
        <Badge tone={open ? "bad" : "muted"} icon={BellRing}>
          {open ? t("notices.open") : t("notices.settled")}
        </Badge>
      </div>
      <p className="wrap-anywhere">
        {alarm.org} · {alarm.user_id}
      </p>
      <p>{t("notices.counted", { counted: alarm.counted, allowed: alarm.allowed, minutes })}</p>
      <p className="text-muted">{t("notices.toldAt", { at: when(alarm.at), told: when(alarm.told_at) })}</p>
      {alarm.answer !== null ? <p className="wrap-anywhere">{alarm.answer}</p> : null}
      {open ? (
        <div className="flex flex-wrap justify-end gap-2">
          <ReasonStep label={t("notices.settle")} run={(answer) => watch.settleAnomaly(alarm.id, answer)} />
        </div>
      ) : null}
    </Card>
  );
}

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** A notice in one line: what happened, by whom, for what. */
function NoticeLine({ notice }: { notice: SharingNotice }) {
  const { t, code, name, when } = useWords();
  const { data } = notice;
  const parts = [
    text(data["by"]),
    text(data["profile"]),
    code("right", text(data["right"])),
    data["purpose"] === undefined ? "" : code("purpose", text(data["purpose"])),
    text(data["case_ref"]),
    code("flowState", text(data["state"])),
    text(data["id"]),
  ].filter((part) => part !== "");
  return (
    <li className="border-t border-line pt-1">
      <p>
        <span className="tabular-nums text-muted">{when(notice.at)}</span> ·{" "}
        <strong className="font-semibold">{t(`noticeKind.${notice.kind}`)}</strong>
        {notice.org === null ? "" : ` → ${name(notice.org)}`}
      </p>
      <p className="text-muted wrap-anywhere">{parts.join(" · ")}</p>
    </li>
  );
}
