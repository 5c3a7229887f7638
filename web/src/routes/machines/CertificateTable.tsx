import { Ban, CircleCheck, Clock, Hourglass, type LucideIcon } from "lucide-react";
import type { Certificate } from "../../api/machines";
import { useWords } from "../../app/useWords";
import { Badge, Button, type Tone } from "../../components/ui";
import { certificateState, fingerprintWords, type CertificateState } from "../../domain/certificate";

const LOOK: Record<CertificateState, { tone: Tone | "muted"; icon: LucideIcon }> = {
  counts: { tone: "ok", icon: CircleCheck },
  soon: { tone: "warn", icon: Hourglass },
  ended: { tone: "bad", icon: Clock },
  revoked: { tone: "muted", icon: Ban },
};

/** Certificates of one machine, the youngest first, with how each stands at `nowMs`. */
export function CertificateTable({
  machine,
  certificates,
  nowMs,
  onRevoke,
}: {
  machine: string;
  certificates: readonly Certificate[];
  nowMs: number;
  onRevoke: (one: Certificate) => void;
}) {
  const { t, when } = useWords();
  return (
    <table>
      <caption className="sr-only">{t("machines.certificatesOf", { name: machine })}</caption>
      <thead>
        <tr>
          <th scope="col">{t("machines.certificate")}</th>
          <th scope="col">{t("machines.fingerprint")}</th>
          <th scope="col">{t("machines.state")}</th>
          <th scope="col">{t("machines.ends")}</th>
          <th scope="col">{t("machines.used")}</th>
          <th scope="col">{t("common.actions")}</th>
        </tr>
      </thead>
      <tbody>
        {certificates.map((one) => {
          const state = certificateState(one, nowMs);
          return (
            <tr key={one.fingerprint}>
              <td>
                {one.name}
                <div className="text-xs text-muted">{t("machines.noted", { when: when(one.made_at) })}</div>
              </td>
              <td>
                <code className="text-xs wrap-anywhere select-all">{fingerprintWords(one.fingerprint)}</code>
              </td>
              <td>
                <Badge {...LOOK[state]}>{t(`certificateState.${state}`)}</Badge>
                {one.revoked_at !== null ? <div className="text-xs text-muted">{when(one.revoked_at)}</div> : null}
              </td>
              <td className="tabular-nums">{when(one.ends_at)}</td>
              <td className="tabular-nums">{when(one.used_at)}</td>
              <td>
                {state === "revoked" ? null : (
                  <Button look="danger" onPress={() => onRevoke(one)}>
                    {t("machines.revoke")}
                  </Button>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
