import { useQueryClient } from "@tanstack/react-query";
import { DownloadCloud, Handshake, Plug, Plus, Unplug } from "lucide-react";
import { useState } from "react";
import { AddPartner } from "./AddPartner";
import { admin } from "../../api/calls";
import { useCameras, usePartners } from "../../api/hooks";
import type { Result } from "../../api/http";
import { keys } from "../../api/keys";
import type { Partner } from "../../api/types";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Badge, Busy, Button, Empty, Notice, Page } from "../../components/ui";

export function PartnersPage() {
  const { t, problem } = useWords();
  const list = usePartners();
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title={t("page.partners")}
      tools={
        <Button look="primary" onPress={() => setAdding(true)}>
          <Plus size={16} aria-hidden />
          {t("partner.add")}
        </Button>
      }
    >
      {adding ? <AddPartner onClose={() => setAdding(false)} /> : null}
      <p className="px-4 pt-3 text-muted">{t("partner.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.data?.length === 0 ? <Empty icon={Handshake}>{t("partner.none")}</Empty> : null}
      <ul className="flex flex-col gap-3 p-4">
        {(list.data ?? []).map((partner) => (
          <PartnerCard key={partner.id} partner={partner} />
        ))}
      </ul>
    </Page>
  );
}

function PartnerCard({ partner }: { partner: Partner }) {
  const { t, problem } = useWords();
  const all = useCameras(useRight()("camera.list"));
  const cameras = (all.data ?? []).filter((one) => one.partner?.id === partner.id && one.state !== "retired").length;
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [note, setNote] = useState<{ tone: "ok" | "bad"; text: string } | null>(null);
  const run = async <T,>(call: () => Promise<Result<T>>, done: (value: T) => string | null): Promise<void> => {
    setBusy(true);
    const answer = await call();
    setBusy(false);
    const words = answer.ok ? done(answer.value) : null;
    setNote(
      answer.ok
        ? words === null
          ? null
          : { tone: "ok", text: words }
        : { tone: "bad", text: problem(answer.problem) },
    );
    await client.invalidateQueries({ queryKey: keys.partners });
    await client.invalidateQueries({ queryKey: keys.cameras });
  };
  return (
    <li className="flex flex-col gap-3 rounded-lg border border-line bg-panel p-4">
      <div className="flex flex-wrap items-center gap-4">
        <h2 className="text-[15px]">{partner.name}</h2>
        {partner.enabled ? (
          <Badge tone="ok" icon={Plug}>
            {t("partner.on")}
          </Badge>
        ) : (
          <Badge tone="warn" icon={Unplug}>
            {t("partner.offShort")}
          </Badge>
        )}
        <span className="text-muted">
          {t("partner.cameras", { count: cameras })}
          {partner.agreement ? ` · ${partner.agreement.document} (${partner.agreement.date})` : ""}
        </span>
        <span className="ml-auto flex gap-2">
          <Button
            isDisabled={busy || !partner.enabled}
            onPress={() =>
              void run(
                () => admin.importCatalogue(partner.id),
                (done) =>
                  t("partner.importDone", {
                    added: done.added,
                    changed: done.changed,
                    retired: done.retired,
                    refused: done.refused.length,
                  }),
              )
            }
          >
            <DownloadCloud size={15} aria-hidden />
            {t("partner.import")}
          </Button>
          <Button
            look={partner.enabled ? "danger" : "primary"}
            isDisabled={busy}
            onPress={() =>
              void run(
                () => admin.setPartner(partner.id, !partner.enabled),
                // Switching on takes a second person: the answer is the partner as it is.
                (answer) => (partner.enabled || answer.enabled ? null : t("partner.asked")),
              )
            }
          >
            {partner.enabled ? t("partner.switchOff") : t("partner.switchOn")}
          </Button>
        </span>
      </div>
      {!partner.enabled ? <p className="text-warn">{t("partner.offText")}</p> : null}
      {note !== null ? <Notice tone={note.tone}>{note.text}</Notice> : null}
    </li>
  );
}
