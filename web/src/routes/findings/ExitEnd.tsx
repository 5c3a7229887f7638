import { findings } from "../../api/calls";
import type { Finding } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Picture } from "./Picture";

/** The other end of a run or stay, and how the speed was worked out. */
export function ExitEnd({ finding, decision }: { finding: Finding; decision: string | null }) {
  const { t, name, when } = useWords();
  const { exit, measured } = finding;
  if (exit === null) return null;
  return (
    <section className="flex flex-col gap-3 rounded border border-line bg-panel p-3">
      <h3 className="font-semibold">
        {t("findings.exit")}: {name(exit.camera)} ({exit.camera.code}) ·{" "}
        <span className="tabular-nums">{when(exit.at)}</span>
      </h3>
      <div className="grid items-start gap-3 lg:grid-cols-[2fr_1fr]">
        <Picture
          src={exit.has_overview ? findings.picture(finding.id, "exit-overview", decision) : null}
          alt={t("findings.overviewAlt")}
          label={t("findings.exitOverview")}
          tall
        />
        <Picture
          src={exit.has_crop ? findings.picture(finding.id, "exit-crop", decision) : null}
          alt={t("reads.cropAlt", { plate: finding.plate })}
          label={t("findings.exitCrop")}
        />
      </div>
      {measured !== null ? (
        <dl className="grid grid-cols-[repeat(auto-fill,minmax(160px,1fr))] gap-x-4 gap-y-2">
          {[
            [t("findings.distance"), `${(measured.distance_mm / 1000).toFixed(1)} m (${measured.certificate})`],
            [t("findings.time"), `${(measured.time_us / 1e6).toFixed(2)} s`],
            [t("findings.measured"), `${measured.measured_kmh} km/h`],
            [t("findings.corrected"), `${measured.corrected_kmh} km/h`],
            [t("findings.limit"), `${measured.limit_kmh} km/h`],
          ].map(([label, text]) => (
            <div key={label}>
              <dt className="text-xs text-muted">{label}</dt>
              <dd className="tabular-nums">{text}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </section>
  );
}
