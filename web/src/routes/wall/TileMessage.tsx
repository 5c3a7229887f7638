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
import { codecName } from "../../player/codec";
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
  codec,
  phase,
  hidden,
  onRetry,
}: {
  camera: Camera;
  blocked: string | null;
  /** What this browser does not play, when that is why. */
  codec: string | null;
  phase: TilePhase;
  hidden: boolean;
  onRetry: () => void;
}) {
  const words = useMessage(camera, blocked, codec, phase);
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

function useMessage(camera: Camera, blocked: string | null, codec: string | null, phase: TilePhase): Words | null {
  const { t, code, problem, time } = useWords();
  if (blocked !== null) return blockedWords(camera, blocked, codec ?? "", t);
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
      return {
        icon: WifiOff,
        title: code("cause", phase.cause),
        text: `${t(`causeHelp.${phase.cause}`, { defaultValue: "" })} ${t("wall.retrying")}`.trim(),
      };
    case "refused":
      return { icon: Ban, title: t("wall.refused"), text: problem(phase.code), retry: t("common.again") };
    case "ended":
      return { icon: Ban, title: t(`end.${phase.why}`), text: t(`endText.${phase.why}`), retry: t("common.again") };
    case "codec":
      return codecWords(phase.codec, t);
    case "cancelled":
      return {
        icon: MessageCircleQuestion,
        title: t("wall.noReason"),
        text: t("wall.noReasonText"),
        retry: t("wall.giveReason"),
      };
  }
}

function codecWords(codec: string, t: ReturnType<typeof useWords>["t"]): Words {
  const name = codecName(codec);
  return { icon: MonitorX, title: t("wall.codec", { codec: name }), text: t("wall.codecText", { codec: name }) };
}

function blockedWords(camera: Camera, blocked: string, codec: string, t: ReturnType<typeof useWords>["t"]): Words {
  switch (blocked) {
    case "partner_off":
      return {
        icon: Unplug,
        title: t("partner.off", { partner: camera.partner?.name ?? "" }),
        text: t("partner.offText"),
      };
    case "codec":
      return codecWords(codec, t);
    case "not_live":
      return { icon: Ban, title: t("wall.notLive"), text: t(`cameraStateText.${camera.state}`) };
    case "no_stream":
      return { icon: Ban, title: t("wall.noStream") };
    default:
      return { icon: Ban, title: t("wall.refused"), text: t("wall.notAllowed") };
  }
}
