import { reads } from "../../api/calls";
import type { Read } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { Plate } from "../../components/Plate";
import { Button } from "../../components/ui";

export function Overview({ read, decision, onClose }: { read: Read; decision: string | null; onClose: () => void }) {
  const { t, when } = useWords();
  return (
    <Modal title={t("reads.overview")} open onClose={onClose} wide>
      <img
        src={reads.picture(read.id, "overview", decision)}
        alt={t("reads.overviewAlt", { plate: read.plate })}
        className="max-h-[60vh] w-full bg-black object-contain"
      />
      <div className="flex items-center gap-3">
        <Plate text={read.plate} country={read.country} large />
        <span className="tabular-nums">{when(read.at)}</span>
        <span className="ml-auto">
          <Button onPress={onClose} autoFocus>
            {t("common.close")}
          </Button>
        </span>
      </div>
    </Modal>
  );
}
