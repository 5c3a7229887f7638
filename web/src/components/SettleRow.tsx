import { useState, type ReactNode } from "react";
import { ReasonForm } from "./ReasonForm";
import { Button } from "./ui";

/** The steps of somebody's wish in one row; the refusal asks for its reason in place of the row. */
export function SettleRow({
  may,
  refuse,
  why,
  busy,
  onRefuse,
  before,
  children,
}: {
  /** Whether who looks may settle it. */
  may: boolean;
  /** Words of the button. */
  refuse: string;
  /** Label of the reason. */
  why: string;
  busy: boolean;
  /** `done` closes the form. */
  onRefuse: (reason: string, done: () => void) => void;
  /** Steps that stand first. */
  before?: ReactNode;
  /** The agreement. */
  children: ReactNode;
}) {
  const [refusing, setRefusing] = useState(false);
  const done = (): void => setRefusing(false);
  if (may && refusing) {
    return (
      <ReasonForm
        label={why}
        send={refuse}
        look="danger"
        busy={busy}
        onSend={(reason) => onRefuse(reason, done)}
        onCancel={done}
      />
    );
  }
  return (
    <div className="flex flex-wrap justify-end gap-2">
      {before}
      {may ? (
        <>
          <Button isPending={busy} onPress={() => setRefusing(true)}>
            {refuse}
          </Button>
          {children}
        </>
      ) : null}
    </div>
  );
}
