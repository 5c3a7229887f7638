import { ScrollText } from "lucide-react";
import { useState } from "react";
import { useAudit, useUsers } from "../../api/hooks";
import type { Leaf } from "../../api/types";
import { useRight, useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Empty, Notice, Page, TextInput } from "../../components/ui";
import { dayRange, fromInputValue, toInputValue, toWire } from "../../domain/time";

function wire(text: string): string | null {
  const ms = fromInputValue(text);
  return ms === null ? null : toWire(ms);
}

/** Leaves of the own organisation: who used what, when and why. */
export function AuditPage() {
  const { t, code, problem, when } = useWords();
  const [from, setFrom] = useState(() => toInputValue(dayRange(Date.now()).from));
  const [to, setTo] = useState(() => toInputValue(dayRange(Date.now()).to));
  const may = useRight();
  const session = useSession();
  const users = useUsers(may("user.admin"));
  const who = (leaf: Leaf, told: string): string => {
    if (told !== "") return told;
    if (leaf.user_id === null) return "–";
    if (leaf.user_id === session.user.id) return session.user.name;
    return users.data?.find((user) => user.id === leaf.user_id)?.name ?? leaf.user_id;
  };
  const list = useAudit(wire(from), wire(to));
  const leaves = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page
      title={t("page.audit")}
      tools={
        <>
          <TextInput
            label={t("reads.from")}
            type="datetime-local"
            value={from}
            onChange={(event) => setFrom(event.target.value)}
          />
          <TextInput
            label={t("reads.to")}
            type="datetime-local"
            value={to}
            onChange={(event) => setTo(event.target.value)}
          />
        </>
      }
    >
      <p className="px-4 py-3 text-muted">{t("audit.explain")}</p>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.isSuccess && leaves.length === 0 ? <Empty icon={ScrollText}>{t("audit.none")}</Empty> : null}
      {leaves.length > 0 ? (
        <table>
          <caption className="sr-only">{t("page.audit")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("audit.leaf")}</th>
              <th scope="col">{t("audit.time")}</th>
              <th scope="col">{t("audit.operation")}</th>
              <th scope="col">{t("audit.who")}</th>
              <th scope="col">{t("audit.what")}</th>
              <th scope="col">{t("audit.why")}</th>
              <th scope="col">{t("audit.details")}</th>
            </tr>
          </thead>
          <tbody>
            {leaves.map((leaf) => {
              const raw = leaf as unknown as Record<string, unknown>;
              const details = detailsOf(raw["details"]);
              const pick = (...names: string[]): string => {
                for (const one of names) {
                  const value = raw[one] ?? details[one];
                  if (value !== null && value !== undefined && value !== "") return plain(value);
                }
                return "";
              };
              return (
                <tr key={leaf.index}>
                  <td className="tabular-nums">{leaf.index}</td>
                  <td className="tabular-nums">{when(leaf.at)}</td>
                  <td>
                    {code("operation", leaf.operation)}
                    {pick("outcome") !== "" ? (
                      <div className="text-xs text-muted">{code("outcome", pick("outcome"))}</div>
                    ) : null}
                  </td>
                  <td className="break-all">{who(leaf, pick("user_name", "actor", "user"))}</td>
                  <td className="break-all">{pick("camera_code", "camera", "target", "stream", "route")}</td>
                  <td>
                    {code("purpose", pick("purpose_code", "purpose"))}
                    {pick("justification") !== "" ? (
                      <div className="text-xs text-muted">{pick("justification")}</div>
                    ) : null}
                  </td>
                  <td>
                    <details>
                      <summary className="min-h-6 cursor-pointer text-muted">{t("audit.show")}</summary>
                      <pre className="max-w-[60ch] overflow-auto text-xs whitespace-pre-wrap text-muted">
                        {JSON.stringify({ ...raw, details }, null, 1)}
                      </pre>
                    </details>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      ) : null}
      {list.hasNextPage ? (
        <div className="flex justify-center p-4">
          <Button onPress={() => void list.fetchNextPage()}>{t("common.more")}</Button>
        </div>
      ) : null}
    </Page>
  );
}

/** Details arrive as an object or as its JSON text. */
function detailsOf(details: unknown): Record<string, unknown> {
  if (typeof details === "string") {
    try {
      return JSON.parse(details) as Record<string, unknown>;
    } catch {
      return { text: details };
    }
  }
  return typeof details === "object" && details !== null ? (details as Record<string, unknown>) : {};
}

function plain(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const named = value as Record<string, unknown>;
  return String(named["name"] ?? named["code"] ?? named["id"] ?? JSON.stringify(value));
}
