import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { InstallationSettings } from '@/api/types';
import { SectionForm } from '@/features/installation/form';
import { readNumbers } from '@/features/installation/numbers';
import { useChange } from '@/features/installation/use-change';
import { Field } from '@/ui/field';

/** How many runs may be active at once. */
export function Limits({ settings }: { settings: InstallationSettings }) {
  const { value, source, effect, configured } = settings.limits;
  const [fields, setFields] = useState({
    max_runs: String(value.max_runs),
    max_runs_per_owner: String(value.max_runs_per_owner),
  });
  const change = useChange(settings.version);
  const save = () => {
    const { numbers, errors } = readNumbers(fields);
    change.refuse(errors);
    if (errors.size > 0) return;
    const body = {
      max_runs: numbers.max_runs ?? 0,
      max_runs_per_owner: numbers.max_runs_per_owner ?? 0,
      max_runs_per_session: 1,
    };
    void change.check('Change the limits?', (params) =>
      unwrap(api.PUT('/api/v1/settings/limits', { params, body })),
    );
  };
  const reset = () =>
    void change.check('Let the limits be as the configuration says?', (params) =>
      unwrap(api.DELETE('/api/v1/settings/limits', { params })),
    );
  return (
    <SectionForm
      title="Runs at once"
      source={source}
      effect={effect}
      change={change}
      onSubmit={save}
      onReset={reset}
    >
      <Field
        label="In the whole installation"
        inputMode="numeric"
        value={fields.max_runs}
        onChange={(max_runs) => setFields({ ...fields, max_runs })}
        error={change.errors.get('max_runs')}
        hint={`With 0 every new run waits. The configuration says ${configured.max_runs}.`}
        className="max-w-72"
      />
      <Field
        label="Of one person"
        inputMode="numeric"
        value={fields.max_runs_per_owner}
        onChange={(max_runs_per_owner) => setFields({ ...fields, max_runs_per_owner })}
        error={change.errors.get('max_runs_per_owner')}
        hint={`The configuration says ${configured.max_runs_per_owner}.`}
        className="max-w-72"
      />
      <p className="text-sm">
        Of one session: 1.{' '}
        <span className="text-soft">
          Its bundle is one line; to work in parallel, fork the session.
        </span>
      </p>
    </SectionForm>
  );
}
