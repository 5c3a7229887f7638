import { useEffect, useState } from "react";
import { CircleCheck, TriangleAlert } from "lucide-react";
import { useCameras, useHealth } from "../../api/hooks";
import { useWords } from "../../app/useWords";
import { HealthState } from "../../components/CameraState";
import { Badge, Busy, Notice, Page } from "../../components/ui";
import { fromWire, SECOND, span } from "../../domain/time";

/** Footage that did not reach the disk for longer than this counts as a fault. */
const DURABLE_MS = 10 * SECOND;

/** Per camera: does a picture come in, and did it reach the disk? */
export function HealthPage() {
  const { t, name, problem } = useWords();
  const list = useHealth();
  const cameras = useCameras();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const byId = new Map((cameras.data ?? []).map((camera) => [camera.id, camera]));
  const rows = list.data ?? [];
  const wanted = rows.filter(
    (row) => row.should_record !== false && (byId.get(row.camera_id)?.partner ?? null) === null,
  );
  const bad = wanted.filter((row) => row.phase !== "live").length;
  const age = (wire: string | null): string => (wire === null ? "–" : span(Math.max(0, now - fromWire(wire))));
  return (
    <Page title={t("page.health")}>
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      {list.isSuccess ? (
        <div className="p-4">
          <Notice tone={bad === 0 ? "ok" : "warn"}>
            {bad === 0
              ? t("healthPage.allGood", { count: wanted.length })
              : t("healthPage.someBad", { count: bad, of: wanted.length })}
          </Notice>
        </div>
      ) : null}
      <table>
        <caption className="sr-only">{t("page.health")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("cameras.callUp")}</th>
            <th scope="col">{t("cameras.name")}</th>
            <th scope="col">{t("cameras.health")}</th>
            <th scope="col">{t("healthPage.lastFrame")}</th>
            <th scope="col">{t("healthPage.durable")}</th>
            <th scope="col">{t("healthPage.rate")}</th>
            <th scope="col">{t("healthPage.lost")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const camera = byId.get(row.camera_id);
            const late = row.durable_until !== null && now - fromWire(row.durable_until) > DURABLE_MS;
            return (
              <tr key={row.camera_id}>
                <td className="tabular-nums">{camera?.call_up ?? "–"}</td>
                <td>{camera === undefined ? row.camera_id : name(camera)}</td>
                <td>
                  <HealthState health={row} onDemand={camera?.partner !== null && camera?.partner !== undefined} />
                </td>
                <td className="tabular-nums">
                  {row.last_frame_at === null ? "–" : t("healthPage.ago", { span: age(row.last_frame_at) })}
                </td>
                <td>
                  {row.durable_until === null ? (
                    <span className="text-muted">{t("healthPage.notRecorded")}</span>
                  ) : (
                    <Badge tone={late ? "bad" : "ok"} icon={late ? TriangleAlert : CircleCheck}>
                      {t("healthPage.ago", { span: age(row.durable_until) })}
                    </Badge>
                  )}
                </td>
                <td className="tabular-nums">
                  {row.bits_per_s === undefined ? "–" : `${(row.bits_per_s / 1e6).toFixed(1)} Mbit/s`}
                </td>
                <td className="tabular-nums">{row.packets_lost ?? "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Page>
  );
}
