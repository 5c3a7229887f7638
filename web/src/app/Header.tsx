import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleHelp, LogOut, Settings2, ShieldQuestion, TimerReset, UserRound, WifiOff, X } from "lucide-react";
import { useEffect, useState } from "react";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";
import { session as sessionCalls } from "../api/calls";
import { linkState, sessionExpiring } from "../api/events";
import { keys } from "../api/keys";
import { Badge, Button, SelectInput } from "../components/ui";
import { clock, day, zoneName } from "../domain/time";
import { LANGUAGES } from "../i18n";
import { ChangePassword } from "./ChangePassword";
import { useSession } from "./sessionContext";
import { settings } from "./settings";
import { useStore } from "./useStore";
import { useWords } from "./useWords";
import { ask, endTask, why } from "./why";

export function Header({ onHelp }: { onHelp: () => void }) {
  const { t, name } = useWords();
  const session = useSession();
  const link = useStore(linkState);
  return (
    <header className="col-span-2 flex items-center gap-4 border-b border-line bg-panel px-3">
      <span className="flex items-center gap-2 text-[15px] font-semibold tracking-wide">
        <img src="/favicon.svg" alt="" width={22} height={22} />
        Belfry
      </span>
      <WhyStrip />
      <div className="ml-auto flex min-w-0 items-center gap-3">
        <Expiring />
        {link === "lost" ? (
          <span role="status">
            <Badge tone="warn" icon={WifiOff}>
              {t("shell.eventsLost")}
            </Badge>
          </span>
        ) : null}
        <Clock />
        <div className="max-w-[420px] min-w-0 border-l border-line pl-3 text-right leading-tight">
          <div className="font-medium">{session.user.name}</div>
          <div className="truncate text-xs text-muted">
            {name(session.org)} · {t(`profile.${session.profile}`, { defaultValue: session.profile })}
          </div>
        </div>
        <Button look="quiet" onPress={onHelp} aria-label={t("shell.help")} className="!px-1.5">
          <CircleHelp size={18} aria-hidden />
        </Button>
        <Desk />
      </div>
    </header>
  );
}

function Clock() {
  const { language } = useWords();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="text-right leading-tight tabular-nums">
      <div className="text-[15px] font-medium">
        {clock(now, language)} <span className="text-xs text-muted">{zoneName(now)}</span>
      </div>
      <div className="text-xs text-muted">{day(now, language)}</div>
    </div>
  );
}

/** Under which purpose and reason images are looked at now. */
function WhyStrip() {
  const { t } = useWords();
  const reason = useStore(why);
  if (reason === null) {
    return (
      <Button look="quiet" onPress={() => void ask(["justification"])}>
        <ShieldQuestion size={16} aria-hidden />
        {t("why.none")}
      </Button>
    );
  }
  return (
    <div
      role="group"
      aria-label={t("why.title")}
      className="flex min-w-0 items-center gap-2 rounded-[5px] border border-accent-deep bg-accent-deep/50 py-0.5 pl-2.5"
    >
      <ShieldQuestion size={16} aria-hidden className="shrink-0 text-accent" />
      <span className="truncate">
        <strong className="font-semibold">{t(`purpose.${reason.code}`)}</strong>
        {reason.justification !== null ? ` · ${reason.justification}` : ""}
        {reason.case_ref !== null ? ` · ${reason.case_ref}` : ""}
      </span>
      <Button look="quiet" onPress={endTask} aria-label={t("why.end")} className="!px-1.5">
        <X size={15} aria-hidden />
      </Button>
    </div>
  );
}

/** WCAG 2.2.1: warns before the session ends and lets it go on by one press. */
function Expiring() {
  const { t } = useWords();
  const expiring = useStore(sessionExpiring);
  if (!expiring) return null;
  return (
    <span role="status" className="flex items-center gap-2">
      <span className="text-warn">{t("shell.expiring")}</span>
      <Button
        onPress={() => {
          sessionExpiring.set(false);
          void sessionCalls.touch();
        }}
      >
        <TimerReset size={15} aria-hidden />
        {t("shell.stay")}
      </Button>
    </span>
  );
}

function Desk() {
  const { t, language } = useWords();
  const client = useQueryClient();
  const desk = useStore(settings);
  const choose = async (wanted: string): Promise<void> => {
    const answer = await sessionCalls.patch({ language: wanted });
    if (answer.ok) client.setQueryData(keys.session, answer.value);
  };
  const leave = async (): Promise<void> => {
    await sessionCalls.logOut();
    sessionStorage.clear();
    window.location.assign("/");
  };
  return (
    <DialogTrigger>
      <Button look="quiet" aria-label={t("shell.desk")} className="!px-1.5">
        <Settings2 size={18} aria-hidden />
      </Button>
      <Popover placement="bottom end" className="w-72 rounded-lg border border-edge bg-panel shadow-2xl">
        <Dialog aria-label={t("shell.desk")} className="flex flex-col gap-4 p-4 outline-none">
          <SelectInput
            label={t("shell.language")}
            value={language}
            onChange={(event) => void choose(event.target.value)}
            options={LANGUAGES.map((one) => ({ value: one, label: t(`language.${one}`) }))}
          />
          <label className="flex flex-col gap-1 text-muted">
            {t("shell.luminance")}
            <input
              type="range"
              min={40}
              max={100}
              step={5}
              value={desk.luminance}
              onChange={(event) => settings.set({ ...desk, luminance: Number(event.target.value) })}
            />
          </label>
          <label className="flex min-h-6 items-center gap-2">
            <input
              type="checkbox"
              className="size-4"
              checked={desk.singleKeys}
              onChange={(event) => settings.set({ ...desk, singleKeys: event.target.checked })}
            />
            {t("shell.singleKeys")}
          </label>
          <Link to="/account" className="inline-flex min-h-[30px] items-center gap-1.5 underline">
            <UserRound size={15} aria-hidden />
            {t("page.account")}
          </Link>
          <ChangePassword />
          <Button onPress={() => void leave()}>
            <LogOut size={15} aria-hidden />
            {t("shell.logOut")}
          </Button>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
