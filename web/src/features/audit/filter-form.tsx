import { Search, X } from 'lucide-react';
import { useState } from 'react';
import type { Filter } from '@/features/audit/query';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { Field } from '@/ui/field';

const OUTCOMES = [
  { id: 'any', label: 'Accepted or refused' },
  { id: 'accepted', label: 'Accepted' },
  { id: 'refused', label: 'Refused' },
];

/** Only what was filled in. */
export function filled(filter: Filter): Filter {
  const entries = Object.entries(filter).map(([name, value]) => [name, value?.trim()]);
  return Object.fromEntries(entries.filter(([, value]) => value)) as Filter;
}

export function FilterForm({
  filter,
  onChange,
}: {
  filter: Filter;
  onChange(filter: Filter): void;
}) {
  const [draft, setDraft] = useState(filter);
  const field = (name: keyof Filter) => ({
    value: draft[name] ?? '',
    onChange: (value: string) => setDraft({ ...draft, [name]: value }),
  });
  const any = Object.keys(filled(filter)).length > 0;
  return (
    <Card>
      <form
        aria-label="Which events"
        className="grid items-end gap-3 p-4 sm:grid-cols-2 lg:grid-cols-4"
        onSubmit={(event) => {
          event.preventDefault();
          onChange(filled(draft));
        }}
      >
        <Field label="By whom" placeholder="user:…" mono {...field('actor')} />
        <Field label="About what" placeholder="run-…, session-…" mono {...field('target')} />
        <Field label="What happened" placeholder="run.requested, run.*" mono {...field('type')} />
        <Choice
          label="Outcome"
          options={OUTCOMES}
          value={draft.outcome ?? 'any'}
          onChange={(value) => {
            const { outcome: _, ...rest } = draft;
            setDraft(value === 'any' ? rest : { ...rest, outcome: value });
          }}
        />
        <Field label="Not before" type="datetime-local" {...field('since')} />
        <Field label="Before" type="datetime-local" {...field('until')} />
        <div className="flex gap-2">
          <Button type="submit" look="primary" icon={Search}>
            Show
          </Button>
          {any && (
            <Button look="quiet" icon={X} onPress={() => onChange({})}>
              Show everything
            </Button>
          )}
        </div>
      </form>
    </Card>
  );
}
