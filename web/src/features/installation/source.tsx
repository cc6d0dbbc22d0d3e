import { useQuery } from '@tanstack/react-query';
import { meQuery } from '@/api/query';
import type { SettingsSource } from '@/api/types';
import { RelativeTime } from '@/ui/time';

/** Who did it, as far as it can be said in words. */
export function Actor({ actor, name }: { actor: string; name?: string | null | undefined }) {
  const me = useQuery(meQuery);
  if (name) return <>{name}</>;
  if (me.data && actor === `user:${me.data.id}`) return <>you</>;
  return <span className="font-mono text-xs">{actor}</span>;
}

/** Where a value is from. */
export function Source({ source }: { source: SettingsSource }) {
  if (source.kind === 'changed' && source.actor && source.time) {
    return (
      <span className="text-xs text-soft">
        changed by <Actor actor={source.actor} /> <RelativeTime at={source.time} />
      </span>
    );
  }
  const words = source.kind === 'configuration' ? 'from the configuration' : 'as it is by default';
  return <span className="text-xs text-soft">{words}</span>;
}
