import { Link } from "@tanstack/react-router";
import { History, ImageIcon, ImageOff, PencilLine, ShieldAlert, ShieldCheck } from "lucide-react";
import { reads } from "../../api/calls";
import type { Camera, Read } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Plate } from "../../components/Plate";
import { Badge, Button } from "../../components/ui";
import { percent, trust } from "../../domain/plate";
import { fromWire } from "../../domain/time";

export function ReadRow({
  read,
  decision,
  camera,
  fresh,
  onOverview,
}: {
  read: Read;
  decision: string | null;
  camera: Camera | null;
  fresh: boolean;
  onOverview: () => void;
}) {
  const { t, code, name, when } = useWords();
  const level = trust(read.confidence);
  return (
    <tr data-read={read.id} className={fresh ? "bg-accent-deep/40" : ""}>
      <td className="w-[180px]">
        {read.has_crop ? (
          <img
            src={reads.picture(read.id, "crop", decision)}
            alt={t("reads.cropAlt", { plate: read.plate })}
            loading="lazy"
            className="h-11 w-40 rounded-sm bg-black object-contain"
          />
        ) : (
          <span className="flex h-11 items-center gap-1.5 text-muted">
            <ImageOff size={15} aria-hidden />
            {t("reads.noCrop")}
          </span>
        )}
      </td>
      <td>
        <Plate text={read.plate} country={read.country} large />
        {read.corrected ? (
          <div className="mt-1 text-xs">
            <Badge tone="warn" icon={PencilLine}>
              {t("reads.corrected")}
            </Badge>
          </div>
        ) : null}
      </td>
      <td>
        {read.country === null ? t("reads.countryUnknown") : code("country", read.country)}
        {read.country_confidence !== null ? (
          <div className="text-xs text-muted">{percent(read.country_confidence)}</div>
        ) : null}
      </td>
      <td>
        <Badge
          tone={level === "high" ? "ok" : level === "middle" ? "warn" : "bad"}
          icon={level === "high" ? ShieldCheck : ShieldAlert}
        >
          {percent(read.confidence)} · {t(`trust.${level}`)}
        </Badge>
        {read.looks !== null ? (
          <div className="text-xs text-muted">{t("reads.looks", { count: read.looks })}</div>
        ) : null}
      </td>
      <td>
        {camera === null ? read.camera_id : name(camera)}
        {camera !== null ? <div className="text-xs whitespace-nowrap text-muted">{camera.code}</div> : null}
      </td>
      <td className="tabular-nums">{when(read.at)}</td>
      <td>{code("direction", read.direction)}</td>
      <td>
        <div className="flex gap-1.5">
          {read.has_overview ? (
            <Button onPress={onOverview}>
              <ImageIcon size={15} aria-hidden />
              {t("reads.overview")}
            </Button>
          ) : null}
          {camera?.may.playback === true ? (
            <Link
              to="/playback"
              search={{ camera: read.camera_id, at: Math.round(fromWire(read.at) - 3000) }}
              className="inline-flex min-h-[30px] items-center gap-1.5 rounded-[5px] border border-edge bg-raised px-3 hover:bg-line"
            >
              <History size={15} aria-hidden />
              {t("page.playback")}
            </Link>
          ) : null}
        </div>
      </td>
    </tr>
  );
}
