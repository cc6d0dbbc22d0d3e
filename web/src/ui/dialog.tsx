import { X } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { Button, IconButton } from '@/ui/button';
import { cx } from '@/ui/cx';

interface DialogProps {
  title: string;
  isOpen: boolean;
  onClose(): void;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, isOpen, onClose, children, wide = false }: DialogProps) {
  return (
    <ModalOverlay
      isOpen={isOpen}
      onOpenChange={(open) => !open && onClose()}
      isDismissable
      className="fixed inset-0 z-40 flex items-start justify-center overflow-auto bg-black/40 px-4 pt-[12vh] pb-8"
    >
      <Modal
        className={cx(
          'w-full rounded-xl border border-line bg-raised shadow-raised',
          wide ? 'max-w-2xl' : 'max-w-md',
        )}
      >
        <AriaDialog className="flex flex-col gap-4 p-5 outline-none">
          <div className="flex items-start justify-between gap-4">
            <Heading slot="title" className="text-lg font-semibold">
              {title}
            </Heading>
            <IconButton icon={X} label="Close" onPress={onClose} className="-mt-1 -mr-2" />
          </div>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

interface ConfirmProps {
  title: string;
  isOpen: boolean;
  onClose(): void;
  /** What will happen, and what will not. */
  children: ReactNode;
  action: string;
  danger?: boolean;
  onConfirm(): Promise<unknown>;
}

/** Asks before something that cannot be taken back. */
export function Confirm({
  title,
  isOpen,
  onClose,
  children,
  action,
  danger,
  onConfirm,
}: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={title} isOpen={isOpen} onClose={onClose}>
      <div className="text-soft">{children}</div>
      <div className="flex justify-end gap-2">
        <Button onPress={onClose} autoFocus>
          Leave it
        </Button>
        <Button
          look={danger ? 'danger' : 'primary'}
          busy={busy}
          onPress={async () => {
            setBusy(true);
            try {
              await onConfirm();
              onClose();
            } finally {
              setBusy(false);
            }
          }}
        >
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
