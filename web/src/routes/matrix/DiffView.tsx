import { ArrowDown, ArrowUp } from "lucide-react";
import type { MatrixDiff } from "../../api/watch";
import { useWords } from "../../app/useWords";
import { Badge } from "../../components/ui";

/** What a change means: who gains and who loses, by profile, right, relation and camera. */
export function DiffView({ diff }: { diff: MatrixDiff }) {
  const { t, code } = useWords();
  const list = (profiles: readonly string[]): string => (profiles.length === 0 ? "–" : profiles.join(", "));
  return (
    <div className="flex flex-col gap-2">
      <p>
        {t("matrix.gains", { who: list(diff.who_gains) })} · {t("matrix.loses", { who: list(diff.who_loses) })}
      </p>
      <ul className="flex flex-col gap-2">
        {diff.changes.map((one) => {
          const wider = one.turn === "gains" || one.turn === "loosened" || one.turn === "both";
          return (
            <li key={`${one.profile}-${one.right}-${one.relation}`} className="border-t border-line pt-1">
              <p className="flex flex-wrap gap-x-3">
                <strong className="font-semibold">
                  {one.profile} · {code("right", one.right)} · {t(`matrix.column.${one.relation}`)}
                </strong>
                <Badge tone={wider ? "warn" : "ok"} icon={wider ? ArrowUp : ArrowDown}>
                  {code("turn", one.turn)}
                </Badge>
              </p>
              <p className="text-muted wrap-anywhere">
                {one.before ?? "–"} → {one.after ?? "–"}
              </p>
              <p className="text-muted wrap-anywhere">
                {t("matrix.touches", { accounts: one.accounts, cameras: one.cameras })}{" "}
                {one.camera_names.slice(0, 20).join(", ")}
              </p>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
