import { Plus, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { InstallationSettings, Profile } from '@/api/types';
import { ProblemLine } from '@/features/installation/form';
import {
  changeOf,
  fieldsOf,
  type NUMBERS,
  type ProfileFields,
} from '@/features/installation/profile-fields';
import { ReviewDialog } from '@/features/installation/review';
import { type Change, useChange } from '@/features/installation/use-change';
import { Button, IconButton } from '@/ui/button';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { Field, Switch } from '@/ui/field';

interface Props {
  profile: Profile;
  isNew: boolean;
  settings: InstallationSettings;
  onClose(): void;
}

interface Part {
  fields: ProfileFields;
  set(some: Partial<ProfileFields>): void;
  change: Change;
}

const WORK: readonly [(typeof NUMBERS)[number], label: string, hint?: string][] = [
  ['memory_mib', 'Memory, in MiB'],
  ['cpu_millis', 'Processor, in thousandths of a core', '2000 are two cores.'],
  ['disk_mib', 'Disk, in MiB'],
  ['max_retries', 'Retries', 'How often a lost workload is started again, from its last snapshot.'],
];

const TIMES: readonly [(typeof NUMBERS)[number], label: string, hint?: string][] = [
  ['deadline_seconds', 'Deadline, in seconds', 'From its start to its end.'],
  ['linger_seconds', 'Linger, in seconds', 'How long it stays when an unattended turn is over.'],
  ['attended_linger_seconds', 'Linger after a person’s prompt, in seconds'],
  ['input_timeout_seconds', 'Wait for an answer, in seconds', 'Then a question is refused.'],
  ['link_timeout_seconds', 'Without its link, in seconds', 'Then the agent is stopped.'],
];

/** A harness profile as a form. */
export function ProfileEditor({ profile, isNew, settings, onClose }: Props) {
  const [fields, setFields] = useState(() => fieldsOf(profile, isNew ? '' : profile.name));
  const change = useChange(settings.version);
  const part: Part = { fields, change, set: (some) => setFields({ ...fields, ...some }) };
  const title = isNew ? 'New profile' : `Profile ${profile.name}`;
  const save = () => {
    const { body, errors } = changeOf(fields);
    change.refuse(errors);
    if (!body) return;
    const name = fields.name.trim();
    const taken = settings.profiles.items.some((known) => known.name === name);
    if (isNew && taken) {
      change.refuse(new Map([['name', 'there is a profile of that name: edit that one']]));
      return;
    }
    void change.check(
      isNew ? `Make the profile ${name}?` : `Change the profile ${name}?`,
      (params) =>
        unwrap(
          api.PUT('/api/v1/settings/profiles/{name}', {
            params: { ...params, path: { name } },
            body,
          }),
        ),
      onClose,
    );
  };
  return (
    <Card title={title}>
      <form
        aria-label={title}
        className="flex flex-col gap-5 p-4"
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        {isNew && (
          <Field
            label="Name"
            autoFocus
            value={fields.name}
            onChange={(name) => part.set({ name })}
            error={change.errors.get('name')}
            className="max-w-72"
          />
        )}
        <Field
          label="Description"
          autoFocus={!isNew}
          value={fields.description}
          onChange={(description) => part.set({ description })}
          error={change.errors.get('description')}
          hint="What it is for, in one line. Everybody reads it."
        />
        <Place part={part} place={settings.place} />
        <Numbers part={part} rows={WORK} />
        <Numbers part={part} rows={TIMES} />
        <Network part={part} />
        <Variables part={part} />
        <Field
          label="Permission"
          mono
          rows={4}
          value={fields.permission}
          onChange={(permission) => part.set({ permission })}
          error={change.errors.get('permission')}
          hint="What the agent may do without asking: OpenCode’s own configuration, as JSON."
        />
        <p className="text-xs text-soft">{settings.profiles.effect}</p>
        <ProblemLine change={change} />
        <div className="flex justify-end gap-2">
          <Button onPress={onClose}>Leave it</Button>
          <Button type="submit" look="primary" busy={change.checking}>
            Review the change
          </Button>
        </div>
      </form>
      <ReviewDialog change={change} />
    </Card>
  );
}

function Place({ part, place }: { part: Part; place: string }) {
  const { fields, set, change } = part;
  const wrong = change.errors.has('image') || change.errors.has('runtime_class');
  // What cannot be had here is not offered, but where it is set all the same it can be taken away.
  if (place !== 'cluster' && !wrong && !fields.image && !fields.runtime_class) {
    return (
      <p className="text-sm text-soft">
        Runs are sandboxes on this machine: an image and a RuntimeClass are for clusters.
      </p>
    );
  }
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <Field
        label="Image"
        mono
        value={fields.image}
        onChange={(image) => set({ image })}
        error={change.errors.get('image')}
        placeholder="the installation’s own"
        hint="Any that holds opencode and git."
      />
      <Field
        label="RuntimeClass"
        mono
        value={fields.runtime_class}
        onChange={(runtime_class) => set({ runtime_class })}
        error={change.errors.get('runtime_class')}
        placeholder="the installation’s own"
        hint="Where the cluster has none of that name, the run is refused: never weaker."
      />
    </div>
  );
}

function Numbers({ part, rows }: { part: Part; rows: typeof WORK }) {
  const { fields, set, change } = part;
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      {rows.map(([name, label, hint]) => (
        <Field
          key={name}
          label={label}
          inputMode="numeric"
          value={fields.numbers[name]}
          onChange={(text) => set({ numbers: { ...fields.numbers, [name]: text } })}
          error={change.errors.get(name)}
          {...(hint ? { hint } : {})}
        />
      ))}
    </div>
  );
}

function Network({ part }: { part: Part }) {
  const { fields, set, change } = part;
  return (
    <div className="flex flex-col gap-3">
      <Choice
        label="Egress of a run that asks for none"
        options={[
          { id: 'github', label: 'github', detail: 'Its repository, the model, the allow-list' },
          { id: 'full', label: 'full', detail: 'Any public host, through the gateway' },
        ]}
        value={fields.egress}
        onChange={(egress) => set({ egress })}
        hint={change.errors.get('egress')}
        className="max-w-72"
      />
      <Switch selected={fields.unenforced} onChange={(unenforced) => set({ unenforced })}>
        Start also where the fence or a limit cannot be enforced
      </Switch>
    </div>
  );
}

function Variables({ part }: { part: Part }) {
  const { fields, set, change } = part;
  const [next, setNext] = useState(fields.env.length);
  const write = (id: number, some: { name?: string; value?: string }) =>
    set({ env: fields.env.map((row) => (row.id === id ? { ...row, ...some } : row)) });
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="text-sm font-medium">Variables</legend>
      <p className="text-xs text-soft">
        Plain ones: everybody reads them, and so does the agent. A token for the forge is no
        variable: register it under Credentials, and no agent sees it.
      </p>
      {fields.env.map(({ id, name, value }, at) => (
        <div key={id} className="flex items-start gap-2">
          <Field
            label={`Name of variable ${at + 1}`}
            bare
            mono
            placeholder="NAME"
            value={name}
            onChange={(text) => write(id, { name: text })}
            error={change.errors.get(`env.${name}`)}
            className="w-1/3"
          />
          <Field
            label={`Value of variable ${at + 1}`}
            bare
            mono
            placeholder="value"
            value={value}
            onChange={(text) => write(id, { value: text })}
            className="flex-1"
          />
          <IconButton
            icon={Trash2}
            label={`Remove variable ${at + 1}`}
            onPress={() => set({ env: fields.env.filter((row) => row.id !== id) })}
          />
        </div>
      ))}
      <span>
        <Button
          small
          icon={Plus}
          onPress={() => {
            set({ env: [...fields.env, { id: next, name: '', value: '' }] });
            setNext(next + 1);
          }}
        >
          Add a variable
        </Button>
      </span>
    </fieldset>
  );
}
