import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { CarFront } from "lucide-react";
import { useMemo, useState } from "react";
import { reads as readCalls, type PlateMatch, type ReadsFilter } from "../../api/calls";
import { lastRead } from "../../api/events";
import { useCameras, useReads } from "../../api/hooks";
import type { Page as ListPage, Read } from "../../api/types";
import { useRight, useSession } from "../../app/sessionContext";
import { useStore } from "../../app/useStore";
import { useWords } from "../../app/useWords";
import { withPurpose } from "../../app/why";
import { MomentInput } from "../../components/moment";
import { Busy, Button, Empty, Notice, Page, SelectInput, TextInput } from "../../components/ui";
import { dayRange, HOUR, toWire } from "../../domain/time";
import { Overview } from "./Overview";
import { ReadRow } from "./ReadRow";

const route = getRouteApi("/reads");

export function ReadsPage() {
  const { t, name, problem } = useWords();
  const may = useRight();
  const { camera } = route.useSearch();
  const navigate = useNavigate();
  const cameras = useCameras(may("camera.list"));
  const [from, setFrom] = useState<number | null>(null);
  const [to, setTo] = useState<number | null>(null);
  // Without a choice: yesterday and today; the end lies ahead, so that new reads come in.
  const filter: ReadsFilter = {
    camera: camera ?? null,
    from: toWire(from ?? dayRange(Date.now() - 24 * HOUR).from),
    to: toWire(to ?? dayRange(Date.now()).to),
  };
  const list = useReads(filter);
  const newest = useStore(lastRead);
  const [found, setFound] = useState<ListPage<Read> | null>(null);
  const [open, setOpen] = useState<{ read: Read; decision: string | null } | null>(null);
  const byId = useMemo(() => new Map((cameras.data ?? []).map((one) => [one.id, one])), [cameras.data]);
  const pages = found !== null ? [found] : (list.data?.pages ?? []);
  const rows = pages.flatMap((page) => page.items.map((read) => ({ read, decision: page.decision_id ?? null })));
  const withReads = (cameras.data ?? []).filter((one) => one.may.reads);
  return (
    <Page
      title={t("page.reads")}
      tools={
        <>
          <SelectInput
            label={t("reads.camera")}
            value={camera ?? ""}
            onChange={(event) =>
              void navigate({ to: "/reads", search: event.target.value === "" ? {} : { camera: event.target.value } })
            }
            options={[
              { value: "", label: t("reads.allCameras") },
              ...withReads.map((one) => ({ value: one.id, label: name(one) })),
            ]}
          />
          <MomentInput label={t("reads.from")} value={from} onChange={setFrom} />
          <MomentInput label={t("reads.to")} value={to} onChange={setTo} />
          {may("reads.search") ? <PlateSearch onFound={setFound} active={found !== null} /> : null}
        </>
      }
    >
      {found !== null ? (
        <div className="flex items-center gap-3 px-4 pt-3">
          <Notice>{t("reads.foundCount", { count: found.items.length })}</Notice>
          <Button onPress={() => setFound(null)}>{t("reads.backToList")}</Button>
        </div>
      ) : null}
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? (
        <div className="p-4">
          <Notice tone="bad">{problem(list.error)}</Notice>
        </div>
      ) : null}
      {list.isSuccess && rows.length === 0 ? (
        <Empty icon={CarFront}>{found !== null ? t("reads.noneFound") : t("reads.none")}</Empty>
      ) : null}
      {rows.length > 0 ? (
        <table>
          <caption className="sr-only">{t("page.reads")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("reads.picture")}</th>
              <th scope="col">{t("reads.plate")}</th>
              <th scope="col">{t("reads.country")}</th>
              <th scope="col">{t("reads.confidence")}</th>
              <th scope="col">{t("reads.camera")}</th>
              <th scope="col">{t("reads.time")}</th>
              <th scope="col">{t("reads.direction")}</th>
              <th scope="col">{t("common.actions")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ read, decision }) => (
              <ReadRow
                key={read.id}
                read={read}
                decision={decision}
                camera={byId.get(read.camera_id) ?? null}
                fresh={newest?.id === read.id}
                onOverview={() => setOpen({ read, decision })}
              />
            ))}
          </tbody>
        </table>
      ) : null}
      {list.hasNextPage && found === null ? (
        <div className="flex justify-center p-4">
          <Button onPress={() => void list.fetchNextPage()} isDisabled={list.isFetchingNextPage}>
            {t("common.more")}
          </Button>
        </div>
      ) : null}
      {open !== null ? <Overview read={open.read} decision={open.decision} onClose={() => setOpen(null)} /> : null}
    </Page>
  );
}

const MATCHES = ["exact", "wildcard", "similar"] as const;
const DAYS = [1, 7, 30] as const;

/** Search by plate: another right, and always under a purpose. */
function PlateSearch({ onFound, active }: { onFound: (page: ListPage<Read> | null) => void; active: boolean }) {
  const { t, refusal } = useWords();
  const session = useSession();
  const [plate, setPlate] = useState("");
  const [match, setMatch] = useState<PlateMatch>("exact");
  const [days, setDays] = useState(1);
  const [error, setError] = useState<string | null>(null);
  const run = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    if (plate.trim() === "") {
      if (active) onFound(null);
      return;
    }
    const now = Date.now();
    const answer = await withPurpose(session, ["purpose", "justification", "case"], (purpose) =>
      readCalls.search(plate.trim(), match, toWire(now - days * 24 * HOUR + 60_000), toWire(now), purpose),
    );
    if (answer.ok) onFound(answer.value);
    setError(answer.ok || "cancelled" in answer ? null : refusal(answer.problem));
  };
  return (
    <form onSubmit={(event) => void run(event)} className="flex items-end gap-2">
      <TextInput
        label={t("reads.searchPlate")}
        error={error}
        value={plate}
        maxLength={24}
        spellCheck={false}
        onChange={(event) => setPlate(event.target.value.toUpperCase())}
      />
      <SelectInput
        label={t("reads.match")}
        value={match}
        onChange={(event) => setMatch(event.target.value as PlateMatch)}
        options={MATCHES.map((one) => ({ value: one, label: t(`plateMatch.${one}`) }))}
      />
      <SelectInput
        label={t("reads.span")}
        value={String(days)}
        onChange={(event) => setDays(Number(event.target.value))}
        options={DAYS.map((one) => ({ value: String(one), label: t("reads.spanDays", { count: one }) }))}
      />
      <Button type="submit">{t("reads.search")}</Button>
    </form>
  );
}
