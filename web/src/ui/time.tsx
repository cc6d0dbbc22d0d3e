import { duration, exact, relative, useNow } from '@/lib/time';

/** How long ago, or until when; the exact time on hover. */
export function RelativeTime({ at }: { at: string }) {
  const time = Date.parse(at);
  const now = useNow(1_000);
  return (
    <time dateTime={at} title={exact(time)} className="whitespace-nowrap tabular-nums">
      {relative(time, now)}
    </time>
  );
}

/** How long it lasted, or has lasted so far. */
export function Elapsed({ from, to }: { from: string; to?: string | null | undefined }) {
  const now = useNow(1_000);
  const end = to ? Date.parse(to) : now;
  return (
    <span title={`since ${exact(Date.parse(from))}`} className="whitespace-nowrap tabular-nums">
      {duration(end - Date.parse(from))}
    </span>
  );
}
