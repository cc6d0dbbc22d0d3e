import { Globe, Lock } from 'lucide-react';
import { useState } from 'react';
import type { Run } from '@/api/types';
import { EGRESS } from '@/features/run/egress-words';
import { setEgress } from '@/features/sessions/actions';
import { harmless, line } from '@/lib/safe';
import { Button } from '@/ui/button';
import { Confirm, Dialog } from '@/ui/dialog';
import { Field } from '@/ui/field';
import { RelativeTime } from '@/ui/time';
import { failed } from '@/ui/toast';

/** What the run may reach, since when and why, and the way to change it where the server offers one. */
export function EgressMode({ run }: { run: Run }) {
  const [asking, setAsking] = useState<Run['egress']>();
  const { label, detail } = EGRESS[run.egress];
  const changed = run.egress_changed;
  const full = run.egress === 'full';
  const Icon = full ? Globe : Lock;
  return (
    <section
      aria-label="Way out"
      className="flex flex-wrap items-start gap-3 rounded-lg border border-line bg-surface px-3 py-2"
    >
      <Icon
        aria-hidden
        className={full ? 'mt-0.5 size-4 text-attention' : 'mt-0.5 size-4 text-good'}
      />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{label}</p>
        <p className="text-sm text-soft">{detail}</p>
        {changed && (
          <p className="mt-1 text-sm text-soft">
            Decided <RelativeTime at={changed.at} /> by {line(changed.actor, 60)}
            {changed.reason && <>: “{harmless(changed.reason)}”</>}
          </p>
        )}
      </div>
      {run.allowed_actions.includes('widen_egress') && (
        <Button small onPress={() => setAsking('full')}>
          Allow more
        </Button>
      )}
      {run.allowed_actions.includes('narrow_egress') && (
        <Button small look="danger" onPress={() => setAsking('github')}>
          Back to GitHub only
        </Button>
      )}
      {asking === 'full' && <Widen run={run} onClose={() => setAsking(undefined)} />}
      <Confirm
        title="Back to GitHub only?"
        isOpen={asking === 'github'}
        onClose={() => setAsking(undefined)}
        action="Take it back"
        danger
        onConfirm={() => setEgress(run.id, 'github').catch(failed)}
      >
        Connections to other hosts are refused at once, and those that are open are closed.
      </Confirm>
    </section>
  );
}

function Widen({ run, onClose }: { run: Run; onClose(): void }) {
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    try {
      await setEgress(run.id, 'full', reason.trim());
      onClose();
    } catch (error) {
      failed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title="Let this run reach any public host?" isOpen onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (reason.trim() !== '') void submit();
        }}
      >
        <p className="text-soft">{EGRESS.full.detail}</p>
        <Field
          label="Why"
          value={reason}
          onChange={setReason}
          maxLength={1_000}
          rows={2}
          autoFocus
          hint="Kept on the record, with your name."
        />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>Leave it</Button>
          <Button type="submit" look="primary" busy={busy} isDisabled={reason.trim() === ''}>
            Allow it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
