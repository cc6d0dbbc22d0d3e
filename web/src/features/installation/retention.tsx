import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { InstallationSettings } from '@/api/types';
import { SectionForm } from '@/features/installation/form';
import { readNumbers } from '@/features/installation/numbers';
import { useChange } from '@/features/installation/use-change';
import { Field } from '@/ui/field';

type Name = keyof InstallationSettings['retention']['value'];

const FIELDS: readonly { name: Name; label: string; hint: string }[] = [
  {
    name: 'bundle_days',
    label: 'Older bundles of a session, in days',
    hint: 'Empty: as long as the session. The one that it goes on from always stays.',
  },
  {
    name: 'output_days',
    label: 'Outputs and recordings of a run that has ended, in days',
    hint: 'Empty: as long as the session. What happened stays in the log.',
  },
  {
    name: 'superseded_bundle_minutes',
    label: 'Bundles that a newer one of the same run superseded, in minutes',
    hint: 'At least 10: a workload may be reading it.',
  },
  {
    name: 'partial_upload_hours',
    label: 'Uploads that broke off, in hours',
    hint: 'For so long they may be gone on with.',
  },
];

const text = (number: number | null | undefined) => (number == null ? '' : String(number));

/** How long what runs leave behind is kept. */
export function Retention({ settings }: { settings: InstallationSettings }) {
  const { value, source, effect } = settings.retention;
  const [fields, setFields] = useState<Record<Name, string>>({
    bundle_days: text(value.bundle_days),
    output_days: text(value.output_days),
    superseded_bundle_minutes: text(value.superseded_bundle_minutes),
    partial_upload_hours: text(value.partial_upload_hours),
  });
  const change = useChange(settings.version);
  const save = () => {
    const { numbers, errors } = readNumbers(fields, ['bundle_days', 'output_days']);
    change.refuse(errors);
    if (errors.size > 0) return;
    const body = {
      bundle_days: numbers.bundle_days,
      output_days: numbers.output_days,
      superseded_bundle_minutes: numbers.superseded_bundle_minutes ?? 0,
      partial_upload_hours: numbers.partial_upload_hours ?? 0,
    };
    void change.check('Change how long things are kept?', (params) =>
      unwrap(api.PUT('/api/v1/settings/retention', { params, body })),
    );
  };
  const reset = () =>
    void change.check('Keep things as long as the configuration says?', (params) =>
      unwrap(api.DELETE('/api/v1/settings/retention', { params })),
    );
  return (
    <SectionForm
      title="How long things are kept"
      source={source}
      effect={effect}
      change={change}
      onSubmit={save}
      onReset={reset}
    >
      {FIELDS.map(({ name, label, hint }) => (
        <Field
          key={name}
          label={label}
          inputMode="numeric"
          value={fields[name]}
          onChange={(next) => setFields({ ...fields, [name]: next })}
          error={change.errors.get(name)}
          hint={hint}
          inputClassName="max-w-72"
        />
      ))}
    </SectionForm>
  );
}
