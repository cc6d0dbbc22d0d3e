import { useState } from 'react';
import { Diff } from '@/features/installation/diff';
import type { Change } from '@/features/installation/use-change';
import { Button } from '@/ui/button';
import { Dialog } from '@/ui/dialog';

/** What will change and on which runs it has which effect, before it does. */
export function ReviewDialog({ change }: { change: Change }) {
  const [busy, setBusy] = useState(false);
  const { review } = change;
  return (
    <Dialog title={review?.title ?? ''} isOpen={review !== undefined} onClose={change.close} wide>
      {review && (
        <>
          <Diff changes={review.change.changes} />
          <p className="rounded-md bg-attention-soft px-3 py-2 text-sm text-attention">
            {review.change.effect}
          </p>
          <div className="flex justify-end gap-2">
            <Button onPress={change.close}>Leave it</Button>
            <Button
              look="primary"
              autoFocus
              busy={busy}
              onPress={async () => {
                setBusy(true);
                try {
                  await review.confirm();
                } finally {
                  setBusy(false);
                  change.close();
                }
              }}
            >
              Save
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
