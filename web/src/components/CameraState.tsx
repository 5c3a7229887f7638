import {
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  FileClock,
  PlugZap,
  TriangleAlert,
  Unplug,
} from "lucide-react";
import { useWords } from "../app/useWords";
import type { Camera, Health } from "../api/types";
import { Badge } from "./ui";

/** The words that say most about a camera now: partner off, life-cycle state, else health. */
export function CameraState({ camera, short = false }: { camera: Camera; short?: boolean }) {
  const { t, code } = useWords();
  if (camera.partner !== null && !camera.partner.enabled) {
    return (
      <Badge tone="warn" icon={Unplug}>
        {short ? t("partner.offShort") : t("partner.off", { partner: camera.partner.name })}
      </Badge>
    );
  }
  if (camera.state !== "live") {
    const icon = camera.state === "retired" ? CirclePause : FileClock;
    return (
      <Badge tone="muted" icon={icon}>
        {code("cameraState", camera.state)}
      </Badge>
    );
  }
  return <HealthState health={camera.health} short={short} onDemand={camera.partner !== null} />;
}

const GOOD = ["live", "recording", "ok", "streaming"];

export function HealthState({
  health,
  short = false,
  onDemand = false,
}: {
  health: Health | null;
  short?: boolean;
  onDemand?: boolean;
}) {
  const { t, code } = useWords();
  if (onDemand && (health === null || health.phase === "idle" || health.phase === "unknown")) {
    return (
      <Badge tone="muted" icon={PlugZap}>
        {t("health.onDemand")}
      </Badge>
    );
  }
  if (health === null || health.phase === "unknown") {
    return (
      <Badge tone="muted" icon={CircleDashed}>
        {t("health.unknown")}
      </Badge>
    );
  }
  // A full disk: frames arrive, and none is recorded.
  const kept = health.cause !== "disk";
  if (GOOD.includes(health.phase) && kept) {
    return (
      <Badge tone="ok" icon={CircleCheck}>
        {code("phase", health.phase)}
      </Badge>
    );
  }
  const waiting = health.phase === "connecting" || health.phase === "starting" || health.phase === "idle";
  const cause = code("cause", health.cause);
  const words = !kept
    ? cause
    : cause === "" || short
      ? code("phase", health.phase)
      : `${code("phase", health.phase)}: ${cause}`;
  return (
    <Badge
      tone={waiting ? "muted" : "bad"}
      icon={waiting ? CircleDashed : health.cause === "unreachable" ? CircleX : TriangleAlert}
    >
      {short && cause !== "" ? cause : words}
    </Badge>
  );
}
