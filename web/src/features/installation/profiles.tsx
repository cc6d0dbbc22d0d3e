import { Boxes, Pencil, Plus, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { InstallationSettings, Profile } from '@/api/types';
import { ProblemLine } from '@/features/installation/form';
import { ProfileEditor } from '@/features/installation/profile-editor';
import { ReviewDialog } from '@/features/installation/review';
import { Source } from '@/features/installation/source';
import { useChange } from '@/features/installation/use-change';
import { line } from '@/lib/safe';
import { Button, IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { EmptyState } from '@/ui/state';

/** What a profile gives, in one line. */
export function gives(profile: Profile): string {
  const parts = [
    `${profile.memory_mib} MiB`,
    `${profile.cpu_millis / 1000} cores`,
    `${Math.round(profile.deadline_seconds / 60)} min`,
    `egress ${profile.egress}`,
  ];
  if (profile.image) parts.push(line(profile.image, 60));
  if (profile.runtime_class) parts.push(`in ${line(profile.runtime_class, 40)}`);
  if (profile.unenforced) parts.push('may run unenforced');
  return parts.join(' · ');
}

/** The harness profiles: what a run gets. */
export function Profiles({ settings }: { settings: InstallationSettings }) {
  const { items, effect } = settings.profiles;
  const [editing, setEditing] = useState<{ profile: Profile; isNew: boolean }>();
  const removing = useChange(settings.version);
  const standard = items.find(({ name }) => name === 'default');
  if (editing) {
    return (
      <ProfileEditor
        key={editing.profile.name}
        profile={editing.profile}
        isNew={editing.isNew}
        settings={settings}
        onClose={() => setEditing(undefined)}
      />
    );
  }
  return (
    <Card
      title="Harness profiles"
      aside={
        standard && (
          <Button
            small
            icon={Plus}
            onPress={() => setEditing({ profile: { ...standard, description: '' }, isNew: true })}
          >
            New profile
          </Button>
        )
      }
    >
      {items.length === 0 && (
        <EmptyState icon={Boxes} title="No profile">
          Runs get what is there by default.
        </EmptyState>
      )}
      <ul aria-label="Profiles">
        {items.map((profile) => (
          <li
            key={profile.name}
            className="flex items-center gap-3 border-b border-line px-4 py-2.5"
          >
            <div className="min-w-0 flex-1">
              <h3 className="flex flex-wrap items-baseline gap-x-2 font-medium">
                {line(profile.name, 60)}
                <Source source={profile.source} />
              </h3>
              <p className="truncate text-sm text-soft">{line(profile.description, 200)}</p>
              <p className="text-xs text-soft">{gives(profile)}</p>
            </div>
            <IconButton
              icon={Pencil}
              label={`Edit ${profile.name}`}
              onPress={() => setEditing({ profile, isNew: false })}
            />
            {profile.name !== 'default' && (
              <IconButton
                icon={Trash2}
                label={`Remove ${profile.name}`}
                onPress={() =>
                  void removing.check(`Remove the profile ${profile.name}?`, (params) =>
                    unwrap(
                      api.DELETE('/api/v1/settings/profiles/{name}', {
                        params: { ...params, path: { name: profile.name } },
                      }),
                    ),
                  )
                }
              />
            )}
          </li>
        ))}
      </ul>
      <div className="flex flex-col gap-2 p-4">
        <p className="text-xs text-soft">{effect}</p>
        <ProblemLine change={removing} />
      </div>
      <ReviewDialog change={removing} />
    </Card>
  );
}
