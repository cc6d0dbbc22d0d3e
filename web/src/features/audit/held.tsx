import { useQuery } from '@tanstack/react-query';
import { ShieldAlert, ShieldCheck, ShieldQuestion } from 'lucide-react';
import { asProblem } from '@/api/problem';
import { BREACHES } from '@/features/audit/hold';
import { parseCheckpoint, toHex } from '@/features/audit/proof';
import { heldQuery, seen } from '@/features/audit/query';
import { Card } from '@/ui/card';
import { ErrorState, Skeleton } from '@/ui/state';

/** What is signed of the record, and whether it goes on from what this browser saw before. */
export function SignedCard() {
  const held = useQuery(heldQuery);
  if (held.isPending) return <Skeleton rows={1} label="Verifying what is signed" />;
  if (held.isError && asProblem(held.error).status === 404) {
    return (
      <Card>
        <p className="flex items-start gap-3 p-4">
          <ShieldQuestion aria-hidden className="size-5 shrink-0 text-soft" />
          <span>
            Nothing is signed: the server has no key, so that nothing here can be proven.
            <code className="mx-1">paddock audit keygen</code> makes one.
          </span>
        </p>
      </Card>
    );
  }
  if (held.isError) {
    return (
      <ErrorState error={held.error} what="the checkpoint" retry={() => void held.refetch()} />
    );
  }
  const { checkpoint, key, breach, before, verified } = held.data;
  if (breach) {
    const kept = seen();
    return (
      <div role="alert" className="flex gap-3 rounded-xl border border-bad bg-bad-soft p-4">
        <ShieldAlert aria-hidden className="size-5 shrink-0 text-bad" />
        <div className="flex min-w-0 flex-col gap-1">
          <h2 className="font-semibold text-bad">This is not the log that was seen before</h2>
          <p>{BREACHES[breach]}</p>
          <p className="text-sm text-soft">
            This browser goes on to remember what it saw before
            {kept && ` (${parseCheckpoint(kept.note).size} positions)`}. Show this to whoever
            reviews the record, with an earlier export if there is one.
          </p>
        </div>
      </div>
    );
  }
  return (
    <Card>
      <div className="flex items-start gap-3 p-4">
        <ShieldCheck aria-hidden className="size-5 shrink-0 text-good" />
        <div className="min-w-0 text-sm">
          <p className="font-medium">
            {checkpoint.size.toLocaleString()} positions are signed
            {before === undefined
              ? ', seen by this browser for the first time'
              : `, and go on from the ${before.toLocaleString()} that this browser saw before`}
          </p>
          <p className="truncate text-xs text-soft" title={toHex(checkpoint.root)}>
            root <code>{toHex(checkpoint.root)}</code>
          </p>
          <p className="text-xs break-all text-soft">
            by <code>{key}</code>
            {!verified && ' (this browser cannot verify Ed25519 signatures; the tree was verified)'}
          </p>
        </div>
      </div>
    </Card>
  );
}
