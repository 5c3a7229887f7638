import type { Probe } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Notice } from "../../components/ui";

/** What the camera offered when it was asked, and what to do when it did not. */
export function ProbeResult({ report }: { report: Probe }) {
  const { t, code } = useWords();
  const { ok, cause, codec, width, height, first_key_ms } = report;
  const help = cause === null ? "" : t(`causeHelp.${cause}`, { defaultValue: "" });
  return (
    <Notice tone={ok ? "ok" : "bad"}>
      <p className="font-medium">{ok ? t("probe.ok") : t("probe.failed", { cause: code("cause", cause) })}</p>
      {!ok && help !== "" ? <p className="mt-1 text-text">{help}</p> : null}
      <ul className="text-text">
        {codec !== null ? <li>{t("probe.codec", { codec: codec.toUpperCase() })}</li> : null}
        {width !== null && height !== null ? <li>{t("probe.size", { size: `${width}×${height}` })}</li> : null}
        {first_key_ms !== null ? <li>{t("probe.firstKey", { ms: first_key_ms })}</li> : null}
        {report.offers_audio ? <li>{t("probe.sound")}</li> : null}
        {!ok && report.detail !== "" ? <li className="text-muted">{report.detail}</li> : null}
      </ul>
      {codec === "h265" ? <p className="mt-1 text-warn">{t("probe.h265")}</p> : null}
    </Notice>
  );
}
