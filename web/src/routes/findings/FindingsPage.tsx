import { ClipboardCheck } from "lucide-react";
import { useState } from "react";
import { useFindings } from "../../api/hooks";
import { useKeys } from "../../app/useKeys";
import { useWords } from "../../app/useWords";
import { Plate } from "../../components/Plate";
import { Busy, Empty, Notice, Page, SelectInput } from "../../components/ui";
import { FindingDetail } from "./FindingDetail";

const STATES = ["open", "unclear", "approved", "rejected"] as const;

/** The queue of findings: list left, the chosen one right. */
export function FindingsPage() {
  const { t, code, name, when, problem } = useWords();
  const [state, setState] = useState<string>("open");
  const [chosen, setChosen] = useState<string | null>(null);
  const list = useFindings(state);
  const items = list.data ?? [];
  const index = Math.max(
    0,
    items.findIndex((finding) => finding.id === chosen),
  );
  const current = items[index] ?? null;
  const go = (by: number): void => setChosen(items[Math.min(items.length - 1, Math.max(0, index + by))]?.id ?? null);
  /** On to the next one, unless somebody has chosen another meanwhile. */
  const decided = (id: string): void =>
    setChosen((now) =>
      (now ?? items[0]?.id) === id ? (items[Math.min(items.length - 1, index + 1)]?.id ?? null) : now,
    );
  useKeys((key) => {
    if (key === "ArrowDown") go(1);
    else if (key === "ArrowUp") go(-1);
    else return false;
    return true;
  });
  return (
    <Page
      title={t("page.findings")}
      tools={
        <SelectInput
          label={t("findings.state")}
          value={state}
          onChange={(event) => setState(event.target.value)}
          options={STATES.map((one) => ({ value: one, label: t(`findingState.${one}`) }))}
        />
      }
    >
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? (
        <div className="p-4">
          <Notice tone="bad">{problem(list.error)}</Notice>
        </div>
      ) : null}
      {list.isSuccess && current === null ? (
        <Empty icon={ClipboardCheck}>{state === "open" ? t("findings.noneOpen") : t("findings.none")}</Empty>
      ) : null}
      {current !== null ? (
        <div className="flex h-full min-h-0">
          <div className="flex w-72 shrink-0 flex-col border-r border-line">
            <p role="status" className="px-3 py-2 text-muted">
              {t("findings.count", { count: items.length })}
            </p>
            <ul className="min-h-0 flex-1 overflow-auto">
              {items.map((finding) => (
                <li key={finding.id}>
                  <button
                    type="button"
                    aria-current={finding.id === current.id}
                    onClick={() => setChosen(finding.id)}
                    className={`flex w-full flex-col items-start gap-1 border-b border-line border-l-[3px] px-3 py-2 text-left hover:bg-raised ${finding.id === current.id ? "border-l-accent bg-raised" : "border-l-transparent"}`}
                  >
                    <span className="flex w-full items-center justify-between gap-2">
                      <Plate text={finding.plate} country={finding.country} />
                      <span className="text-xs text-muted">{code("verdictShort", finding.verdict)}</span>
                    </span>
                    <span className="text-xs text-muted">
                      {name(finding.camera)} · <span className="tabular-nums">{when(finding.at)}</span>
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </div>
          <div className="min-w-0 flex-1 overflow-auto">
            <FindingDetail key={current.id} id={current.id} listed={current} onDone={() => decided(current.id)} />
          </div>
        </div>
      ) : null}
    </Page>
  );
}
