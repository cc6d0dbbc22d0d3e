import { Flag, OctagonX, Square, UploadCloud } from 'lucide-react';
import { useState } from 'react';
import type { Run } from '@/api/types';
import { cancelRun, finishRun, interruptRun, publishRun } from '@/features/sessions/actions';
import { Button } from '@/ui/button';
import { Confirm } from '@/ui/dialog';
import { failed } from '@/ui/toast';

/** Only what the server allows now. */
export function RunActions({ run }: { run: Run }) {
  const [busy, setBusy] = useState<string>();
  const [asking, setAsking] = useState(false);
  const may = (action: Run['allowed_actions'][number]) => run.allowed_actions.includes(action);
  const act = async (name: string, work: () => Promise<void>) => {
    setBusy(name);
    try {
      await work();
    } catch (error) {
      failed(error);
    } finally {
      setBusy(undefined);
    }
  };
  const button = { small: true, isDisabled: busy !== undefined };
  return (
    <div className="flex flex-wrap gap-1.5">
      {may('interrupt') && (
        <Button
          {...button}
          icon={Square}
          busy={busy === 'interrupt'}
          onPress={() => act('interrupt', () => interruptRun(run.id))}
        >
          Interrupt
        </Button>
      )}
      {may('finish') && (
        <Button
          {...button}
          icon={Flag}
          busy={busy === 'finish'}
          onPress={() => act('finish', () => finishRun(run.id))}
        >
          Finish
        </Button>
      )}
      {may('publish') && (
        <Button
          {...button}
          look="primary"
          icon={UploadCloud}
          busy={busy === 'publish'}
          onPress={() => act('publish', () => publishRun(run.id))}
        >
          Publish again
        </Button>
      )}
      {may('cancel') && (
        <Button
          {...button}
          look="danger"
          icon={OctagonX}
          busy={busy === 'cancel'}
          onPress={() => setAsking(true)}
        >
          Cancel
        </Button>
      )}
      <Confirm
        title="Cancel this run?"
        isOpen={asking}
        onClose={() => setAsking(false)}
        action="Cancel the run"
        danger
        onConfirm={() => act('cancel', () => cancelRun(run.id))}
      >
        The agent stops and nothing is published. Its work is saved: another run can go on from
        there.
      </Confirm>
    </div>
  );
}
