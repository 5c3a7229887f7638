import type { ReactNode } from "react";
import { Dialog, Heading, Modal as AriaModal, ModalOverlay } from "react-aria-components";

/** A dialog over a see-through backdrop: live tiles stay visible behind it. */
export function Modal({
  title,
  open,
  onClose,
  wide = false,
  children,
}: {
  title: string;
  open: boolean;
  /** Absent: it can't be closed without an answer. */
  onClose?: () => void;
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <ModalOverlay
      isOpen={open}
      onOpenChange={(next) => {
        if (!next) onClose?.();
      }}
      isDismissable={false}
      isKeyboardDismissDisabled={onClose === undefined}
      className="fixed inset-0 z-50 flex items-center justify-center bg-[rgb(4_7_10/0.6)] p-4"
    >
      <AriaModal
        className={`max-h-full overflow-auto rounded-lg border border-edge bg-panel shadow-2xl ${wide ? "w-[760px]" : "w-[460px]"} max-w-full`}
      >
        <Dialog className="flex flex-col gap-3 p-5 outline-none">
          <Heading slot="title" className="text-[15px] font-semibold">
            {title}
          </Heading>
          {children}
        </Dialog>
      </AriaModal>
    </ModalOverlay>
  );
}
