import { useInfiniteQuery } from '@tanstack/react-query';
import { History as HistoryIcon } from 'lucide-react';
import type { SettingsChange } from '@/api/types';
import { Diff } from '@/features/installation/diff';
import { historyQuery } from '@/features/installation/query';
import { Actor } from '@/features/installation/source';
import { line } from '@/lib/safe';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';
import { RelativeTime } from '@/ui/time';

const SECTIONS: Record<string, string> = {
  limits: 'Runs at once',
  'allow-list': 'Allow-list',
  profiles: 'Profile',
  retention: 'How long things are kept',
};

/** What a change was about, in a few words. */
export function about(change: Pick<SettingsChange, 'section' | 'profile' | 'type'>): string {
  const section = SECTIONS[change.section] ?? change.section;
  const name = change.profile ? `${section} ${line(change.profile, 60)}` : section;
  return change.type === 'settings.profile.removed' ? `${name} removed` : name;
}

/** Who changed what, the newest first. */
export function SettingsHistory() {
  const history = useInfiniteQuery(historyQuery);
  if (history.isPending) return <Skeleton rows={4} label="Loading the history" />;
  if (history.isError) {
    return (
      <ErrorState error={history.error} what="the history" retry={() => void history.refetch()} />
    );
  }
  const changes = history.data.pages.flatMap((page) => page.items);
  if (changes.length === 0) {
    return (
      <EmptyState icon={HistoryIcon} title="Nobody has changed anything">
        Everything is as the configuration says. Each change will be here, with who made it.
      </EmptyState>
    );
  }
  return (
    <Card title="Changes">
      <ol aria-label="Changes">
        {changes.map((change) => (
          <li
            key={change.version}
            className="flex flex-col gap-1.5 border-b border-line px-4 py-3 last:border-0"
          >
            <h3 className="flex flex-wrap items-baseline gap-x-2 font-medium">
              {about(change)}
              <span className="text-xs font-normal text-soft">
                by <Actor actor={change.actor} name={change.actor_name} />{' '}
                <RelativeTime at={change.time} /> · version {change.version}
              </span>
            </h3>
            {change.type !== 'settings.profile.removed' && <Diff changes={change.changes} />}
          </li>
        ))}
      </ol>
      {history.hasNextPage && (
        <div className="border-t border-line p-3 text-center">
          <Button busy={history.isFetchingNextPage} onPress={() => void history.fetchNextPage()}>
            Show older ones
          </Button>
        </div>
      )}
    </Card>
  );
}
