import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Button } from "../../components/ui";

/** A one-time password, shown once to be handed over. */
export function OneTime({ secret, onClose }: { secret: string; onClose: () => void }) {
  const { t } = useWords();
  return (
    <Modal title={t("users.made")} open>
      <p>{t("users.oneTime")}</p>
      <p className="rounded border border-edge bg-bg p-3 text-center font-mono text-lg break-all select-all">
        {secret}
      </p>
      <div className="flex justify-end">
        <Button look="primary" onPress={onClose} autoFocus>
          {t("common.close")}
        </Button>
      </div>
    </Modal>
  );
}
