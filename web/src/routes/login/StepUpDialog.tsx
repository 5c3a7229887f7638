import { useQueryClient } from "@tanstack/react-query";
import { keys } from "../../api/keys";
import { stepUpQuestion } from "../../app/stepUp";
import { useStore } from "../../app/useStore";
import { useWords } from "../../app/useWords";
import { Modal } from "../../components/Modal";
import { ProofForm } from "./ProofForm";

/** Something needs a fresh second factor: asks for one, and the request goes on by itself. */
export function StepUpDialog() {
  const { t } = useWords();
  const client = useQueryClient();
  const open = useStore(stepUpQuestion);
  return (
    <Modal title={t("factor.stepUp")} open={open !== null} onClose={() => open?.answer(false)}>
      <p className="text-muted">{t("factor.stepUpWhy")}</p>
      {open !== null ? (
        <ProofForm
          onShown={(session) => {
            client.setQueryData(keys.session, session);
            open.answer(true);
          }}
          onCancel={() => open.answer(false)}
        />
      ) : null}
    </Modal>
  );
}
