import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { CarFront } from "lucide-react";
import { useMemo, useState } from "react";
import type { ReadsFilter } from "../../api/calls";
import { lastRead } from "../../api/events";
import { useCameras, useReads } from "../../api/hooks";
import type { Page as ListPage, Read } from "../../api/types";
import { useRight } from "../../app/sessionContext";
import { useStore } from "../../app/useStore";
import { useWords } from "../../app/useWords";
import { MomentInput } from "../../components/moment";
import { Busy, Button, Empty, Notice, Page, SelectInput } from "../../components/ui";
import { dayRange, HOUR, toWire } from "../../domain/time";
import { PlateSearch } from "./PlateSearch";
import { ReadTable } from "./ReadTable";

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
  const byId = useMemo(() => new Map((cameras.data ?? []).map((one) => [one.id, one])), [cameras.data]);
  const pages = found !== null ? [found] : (list.data?.pages ?? []);
  const isEmpty = pages.every((page) => page.items.length === 0);
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
          {may("reads.search") ? (
            <PlateSearch from={from} until={to} onFound={setFound} active={found !== null} />
          ) : null}
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
      {list.isSuccess && isEmpty ? (
        <Empty icon={CarFront}>{found !== null ? t("reads.noneFound") : t("reads.none")}</Empty>
      ) : null}
      <ReadTable caption={t("page.reads")} pages={pages} cameras={byId} newest={newest?.id ?? null} />
      {list.hasNextPage && found === null ? (
        <div className="flex justify-center p-4">
          <Button onPress={() => void list.fetchNextPage()} isDisabled={list.isFetchingNextPage}>
            {t("common.more")}
          </Button>
        </div>
      ) : null}
    </Page>
  );
}
