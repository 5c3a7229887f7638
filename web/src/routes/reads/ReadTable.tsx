import { useState } from "react";
import type { Camera, Page as ListPage, Read } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Overview } from "./Overview";
import { ReadRow } from "./ReadRow";

/** Reads page by page; the pictures of each page belong to the decision under which it was given. */
export function ReadTable({
  caption,
  pages,
  cameras,
  newest = null,
}: {
  caption: string;
  pages: readonly ListPage<Read>[];
  cameras: ReadonlyMap<string, Camera>;
  /** Id of the read that came in last. */
  newest?: string | null;
}) {
  const { t } = useWords();
  const [open, setOpen] = useState<{ read: Read; decision: string | null } | null>(null);
  const rows = pages.flatMap((page) => page.items.map((read) => ({ read, decision: page.decision_id ?? null })));
  if (rows.length === 0) return null;
  return (
    <>
      <table>
        <caption className="sr-only">{caption}</caption>
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
              camera={cameras.get(read.camera_id) ?? null}
              fresh={newest === read.id}
              onOverview={() => setOpen({ read, decision })}
            />
          ))}
        </tbody>
      </table>
      {open !== null ? <Overview read={open.read} decision={open.decision} onClose={() => setOpen(null)} /> : null}
    </>
  );
}
