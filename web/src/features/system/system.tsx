import { CircleAlert, CircleCheck, Copy } from 'lucide-react';
import { useConnection } from '@/api/live/hooks';
import type { SystemPart } from '@/api/types';
import { NAMES, unwell, useSystem } from '@/features/system/query';
import { IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { cx } from '@/ui/cx';
import { ErrorState, Skeleton } from '@/ui/state';
import { Elapsed } from '@/ui/time';
import { done } from '@/ui/toast';

/** How each part is, and what to do where one is not well. */
export function System() {
  const system = useSystem();
  const connection = useConnection();
  if (system.isPending) return <Skeleton rows={6} label="Loading the system" />;
  const gone = connection.state === 'retrying' || connection.state === 'offline';
  if (system.isError && !system.data) {
    return (
      <ErrorState error={system.error} what="the system" retry={() => void system.refetch()} />
    );
  }
  const { parts, version } = system.data;
  const wrong = parts.filter((part) => !part.ok);
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-4 px-4 py-6">
      <header className="flex items-baseline justify-between gap-4">
        <h1 className="text-xl font-semibold">System</h1>
        <span className="flex items-center gap-1 text-soft">
          Paddock {version}
          <IconButton
            icon={Copy}
            label="Copy all of this for a report"
            onPress={async () => {
              await navigator.clipboard.writeText(JSON.stringify(system.data, null, 2));
              done('Copied');
            }}
          />
        </span>
      </header>
      <p
        role="status"
        className={cx(
          'flex items-center gap-2 rounded-lg px-3 py-2 font-medium',
          gone || wrong.length > 0 ? 'bg-bad-soft text-bad' : 'bg-good-soft text-good',
        )}
      >
        {gone || wrong.length > 0 ? (
          <CircleAlert aria-hidden className="size-4" />
        ) : (
          <CircleCheck aria-hidden className="size-4" />
        )}
        {gone
          ? 'The server does not answer: agents at work go on. Start it again: paddock up'
          : wrong.length === 0
            ? 'Everything works.'
            : `Not well: ${unwell(parts)}.`}
      </p>
      {gone && <p className="text-soft">This is how it was before:</p>}
      <Card>
        <ul>
          {parts.map((part) => (
            <Part key={part.name} part={part} />
          ))}
        </ul>
      </Card>
    </div>
  );
}

function Part({ part }: { part: SystemPart }) {
  const { label, does } = NAMES[part.name] ?? { label: part.name, does: '' };
  return (
    <li className="flex gap-3 border-b border-line px-4 py-3 last:border-0" data-part={part.name}>
      {part.ok ? (
        <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-good" />
      ) : (
        <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
      )}
      <div className="min-w-0 flex-1">
        <h2 className="flex flex-wrap items-baseline gap-x-2 font-medium">
          {label}
          <span className="text-xs font-normal text-soft">{does}</span>
        </h2>
        {part.detail && <p className="break-words text-soft">{part.detail}</p>}
        {!part.ok && part.still_works && (
          <p className="text-soft">
            <span className="font-medium text-text">Still works:</span> {part.still_works}
          </p>
        )}
        {!part.ok && part.action && (
          <p className="mt-1 rounded-md bg-attention-soft px-2.5 py-1.5 text-attention">
            <span className="font-medium">What to do:</span> {part.action}
          </p>
        )}
      </div>
      <span className="shrink-0 text-xs text-faint">
        {part.lag != null && part.lag > 0 && <span className="mr-2">{part.lag} behind</span>}
        {part.ok ? 'well' : 'down'} for <Elapsed from={part.since} />
      </span>
    </li>
  );
}
