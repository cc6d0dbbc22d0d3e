import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { InstallationSettings } from '@/api/types';
import { SectionForm } from '@/features/installation/form';
import { useChange } from '@/features/installation/use-change';
import { Field } from '@/ui/field';

/** A line each, without the empty ones. */
export function rules(text: string): string[] {
  return text
    .split(/[\s,]+/)
    .map((rule) => rule.trim())
    .filter((rule) => rule !== '');
}

/** What is wrong with which rule, in one text: the server names them by their place. */
export function wrongRules(
  sent: readonly string[],
  errors: ReadonlyMap<string, string>,
): string | undefined {
  const words = [...errors].map(([field, detail]) => {
    const at = /^hosts\[(\d+)\]$/.exec(field)?.[1];
    return at === undefined ? detail : `${sent[Number(at)] ?? field} ${detail}`;
  });
  return words.length > 0 ? words.join('; ') : undefined;
}

/** Which hosts runs may reach beside the forge and the model. */
export function AllowList({ settings }: { settings: InstallationSettings }) {
  const { value, source, effect } = settings.allow_list;
  const [text, setText] = useState(value.hosts.join('\n'));
  const [sent, setSent] = useState<string[]>([]);
  const change = useChange(settings.version);
  const save = () => {
    const hosts = rules(text);
    setSent(hosts);
    void change.check('Change which hosts runs may reach?', (params) =>
      unwrap(api.PUT('/api/v1/settings/allow-list', { params, body: { hosts } })),
    );
  };
  const reset = () =>
    void change.check('Let the allow-list be as the configuration says?', (params) =>
      unwrap(api.DELETE('/api/v1/settings/allow-list', { params })),
    );
  return (
    <SectionForm
      title="Hosts that runs may reach"
      source={source}
      effect={effect}
      change={change}
      onSubmit={save}
      onReset={reset}
    >
      <Field
        label="Allow-list, a rule a line"
        mono
        rows={8}
        value={text}
        onChange={setText}
        placeholder="registry.npmjs.org"
        error={wrongRules(sent, change.errors)}
        hint={
          <>
            <code>example.org</code> is that host, <code>.example.org</code> every name below it; at
            another port than 443 and 80 with <code>:port</code>. The run’s own repository and the
            model are always reachable.
          </>
        }
      />
    </SectionForm>
  );
}
