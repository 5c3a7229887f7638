import { useWords } from "../../app/useWords";
import { Button } from "../../components/ui";

/** Recovery codes, shown once. */
export function RecoveryCodes({ codes, onClose }: { codes: string[]; onClose: () => void }) {
  const { t } = useWords();
  return (
    <div className="flex flex-col gap-3">
      <h2 className="font-semibold">{t("factor.recoveryTitle")}</h2>
      <p>{t("factor.recoveryWhy")}</p>
      <ul className="grid grid-cols-2 gap-x-4 gap-y-1 rounded border border-edge bg-bg p-3 font-mono select-all">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className="flex justify-end">
        <Button look="primary" onPress={onClose} autoFocus>
          {t("factor.kept")}
        </Button>
      </div>
    </div>
  );
}
