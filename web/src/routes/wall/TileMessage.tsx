import {
  Ban,
  LoaderCircle,
  MessageCircleQuestion,
  MonitorX,
  SnowflakeIcon,
  Unplug,
  WifiOff,
  type LucideIcon,
} from "lucide-react";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Button } from "../../components/ui";
import type { TilePhase } from "../../player/liveTile";

interface Words {
  icon: LucideIcon;
  title: string;
  text?: string;
  retry?: string;
  spin?: boolean;
}

/** The clear words over a picture that is not (or no longer) live. */
export function TileMessage({
  camera,
  blocked,
  phase,
  hidden,
  onRetry,
}: {
  camera: Camera;
  blocked: string | null;
  phase: TilePhase;
  hidden: boolean;
  onRetry: () => void;
}) {
  const words = useMessage(camera, blocked, phase);
  if (words === null || hidden) return null;
  const Icon = words.icon;
  return (
    <div
      role="status"
      className="pointer-events-none absolute inset-0 flex flex-col items-center justify-center gap-1.5 p-3 pt-8 text-center"
    >
      <div className="shade pointer-events-auto flex max-w-full flex-col items-center gap-1.5 rounded-md px-4 py-3">
        <Icon size={22} aria-hidden className={words.spin === true ? "animate-spin text-muted" : "text-warn"} />
        <p className="font-medium">{words.title}</p>
        {words.text !== undefined ? <p className="max-w-[44ch] text-xs text-muted">{words.text}</p> : null}
        {words.retry !== undefined ? <Button onPress={onRetry}>{words.retry}</Button> : null}
      </div>
    </div>
  );
}

function useMessage(camera: Camera, blocked: string | null, phase: TilePhase): Words | null {
  const { t, code, problem, time } = useWords();
  if (blocked !== null) return blockedWords(camera, blocked, t);
  switch (phase.phase) {
    case "connecting":
      return { icon: LoaderCircle, title: t("wall.connecting"), spin: true };
    case "playing":
      return phase.frozenSinceUs === null
        ? null
        : {
            icon: SnowflakeIcon,
            title: t("wall.frozen", { time: time(phase.frozenSinceUs / 1000) }),
            text: t("wall.frozenText"),
          };
    case "waiting":
      return { icon: WifiOff, title: code("cause", phase.cause), text: t("wall.retrying") };
    case "refused":
      return { icon: Ban, title: t("wall.refused"), text: problem(phase.code), retry: t("common.again") };
    case "ended":
      return { icon: Ban, title: t(`end.${phase.why}`), text: t(`endText.${phase.why}`), retry: t("common.again") };
    case "codec":
      return { icon: MonitorX, title: t("wall.codec"), text: t("wall.codecText", { codec: codecName(phase.codec) }) };
    case "cancelled":
      return {
        icon: MessageCircleQuestion,
        title: t("wall.noReason"),
        text: t("wall.noReasonText"),
        retry: t("wall.giveReason"),
      };
  }
}

function blockedWords(camera: Camera, blocked: string, t: ReturnType<typeof useWords>["t"]): Words {
  switch (blocked) {
    case "partner_off":
      return {
        icon: Unplug,
        title: t("partner.off", { partner: camera.partner?.name ?? "" }),
        text: t("partner.offText"),
      };
    case "codec":
      return { icon: MonitorX, title: t("wall.codec"), text: t("wall.codecText", { codec: "H.265" }) };
    case "not_live":
      return { icon: Ban, title: t("wall.notLive"), text: t(`cameraStateText.${camera.state}`) };
    case "no_stream":
      return { icon: Ban, title: t("wall.noStream") };
    default:
      return { icon: Ban, title: t("wall.refused"), text: t("wall.notAllowed") };
  }
}

/** `hvc1.1.6.L120.90` is H.265 to everybody but a parser. */
function codecName(codec: string): string {
  if (/^(hvc1|hev1)/.test(codec)) return "H.265";
  return /^avc[13]/.test(codec) ? "H.264" : codec;
}
