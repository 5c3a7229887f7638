import { useWords } from "../../app/useWords";
import { Notice } from "../../components/ui";

/** What the camera offered when it was asked. */
export function ProbeResult({ report }: { report: Record<string, unknown> }) {
  const { t, code } = useWords();
  const text = (key: string): string | null => {
    const value = report[key];
    return value === null || value === undefined || value === "" ? null : String(value);
  };
  const ok = report["ok"] !== false;
  const size = text("width") !== null && text("height") !== null ? `${text("width")}×${text("height")}` : null;
  const sound = report["offers_audio"] ?? report["sound"] ?? report["audio"];
  const first = text("first_key_ms") ?? text("first_key_frame_ms");
  return (
    <Notice tone={ok ? "ok" : "bad"}>
      <p className="font-medium">{ok ? t("probe.ok") : t("probe.failed", { cause: code("cause", text("cause")) })}</p>
      <ul className="text-text">
        {text("codec") !== null ? <li>{t("probe.codec", { codec: text("codec")?.toUpperCase() ?? "" })}</li> : null}
        {size !== null ? <li>{t("probe.size", { size })}</li> : null}
        {first !== null ? <li>{t("probe.firstKey", { ms: first })}</li> : null}
        {sound === true ? <li>{t("probe.sound")}</li> : null}
        {!ok && text("detail") !== null ? <li className="text-muted">{text("detail")}</li> : null}
      </ul>
      {text("codec") === "h265" ? <p className="mt-1 text-warn">{t("probe.h265")}</p> : null}
    </Notice>
  );
}
