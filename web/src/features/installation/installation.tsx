import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { ArrowLeft } from 'lucide-react';
import { AllowList } from '@/features/installation/allow-list';
import { SettingsHistory } from '@/features/installation/history';
import { Limits } from '@/features/installation/limits';
import { Profiles } from '@/features/installation/profiles';
import { settingsQuery } from '@/features/installation/query';
import { Retention } from '@/features/installation/retention';
import { Tabs } from '@/features/run/tabs';
import { ErrorState, Skeleton } from '@/ui/state';

const TABS = [
  ['limits', 'Limits'],
  ['allow-list', 'Allow-list'],
  ['profiles', 'Profiles'],
  ['retention', 'Retention'],
  ['history', 'History'],
] as const;

type Tab = (typeof TABS)[number][0];

/** What is decided for the whole installation, by whom, and since when. */
export function Installation() {
  const { tab = 'limits' } = useSearch({ from: '/settings/installation' });
  const navigate = useNavigate();
  const selected = TABS.find(([name]) => name === tab)?.[0] ?? 'limits';
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-4 px-4 py-6">
      <header className="flex items-center gap-2">
        <Link to="/settings" aria-label="Back to the settings" className="rounded-md p-1 text-soft">
          <ArrowLeft aria-hidden className="size-4" />
        </Link>
        <h1 className="text-xl font-semibold">Settings of the installation</h1>
      </header>
      <Tabs
        label="Settings"
        tabs={TABS}
        selected={selected}
        onSelect={(name: Tab) =>
          void navigate({
            to: '/settings/installation',
            search: name === 'limits' ? {} : { tab: name },
            replace: true,
          })
        }
      >
        <div className="pt-4">
          {selected === 'history' ? <SettingsHistory /> : <Sections selected={selected} />}
        </div>
      </Tabs>
    </div>
  );
}

function Sections({ selected }: { selected: Exclude<Tab, 'history'> }) {
  const settings = useQuery(settingsQuery);
  if (settings.isPending) return <Skeleton rows={4} label="Loading the settings" />;
  if (settings.isError && !settings.data) {
    return (
      <ErrorState
        error={settings.error}
        what="the settings"
        retry={() => void settings.refetch()}
      />
    );
  }
  const { data } = settings;
  // What is being typed belongs to the version that it was begun on.
  const key = data.version;
  switch (selected) {
    case 'limits':
      return <Limits key={key} settings={data} />;
    case 'allow-list':
      return <AllowList key={key} settings={data} />;
    case 'profiles':
      return <Profiles settings={data} />;
    case 'retention':
      return <Retention key={key} settings={data} />;
  }
}
