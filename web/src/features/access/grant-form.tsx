import { useMutation } from '@tanstack/react-query';
import { UserPlus } from 'lucide-react';
import { useState } from 'react';
import { asProblem } from '@/api/problem';
import { grantRole } from '@/features/access/query';
import { ROLES, wouldChange } from '@/features/access/words';
import { Button } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Field } from '@/ui/field';
import { done } from '@/ui/toast';

const KINDS = [
  { id: 'group', label: 'Group', placeholder: 'platform' },
  { id: 'user', label: 'Person', placeholder: 'their id' },
  { id: 'kubernetes', label: 'Cluster user', placeholder: 'system:serviceaccount:ci:bot' },
] as const;

interface GrantFormProps {
  scope: string;
  /** The list that the new binding is of. */
  list?: string;
  /** What it is a role over, in words. */
  what: string;
  /** The highest role that can be given. */
  upTo: 'maintainer' | 'admin';
}

/** Gives a role, and says what that changes before it does. */
export function GrantForm({ scope, list, what, upTo }: GrantFormProps) {
  const [kind, setKind] = useState<(typeof KINDS)[number]['id']>('group');
  const [name, setName] = useState('');
  const [role, setRole] = useState('viewer');
  const [repositories, setRepositories] = useState('');
  const subject = name.trim() ? `${kind}:${name.trim()}` : '';
  const limited = scope === 'global' && role === 'maintainer';
  const give = useMutation({
    mutationFn: () => {
      const patterns = repositories.split(/[\s,]+/).filter(Boolean);
      return grantRole(
        { subject, role, scope, ...(limited ? { repositories: patterns } : {}) },
        list,
      );
    },
    onSuccess: () => {
      setName('');
      done('Given');
    },
  });
  const problem = give.error ? asProblem(give.error) : undefined;
  const ofField = problem?.field('subject') ?? problem?.field('repositories');
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (subject) give.mutate();
      }}
    >
      <div className="flex flex-wrap items-start gap-2">
        <Choice
          label="Who"
          options={KINDS}
          value={kind}
          onChange={(value) => setKind(value as typeof kind)}
          className="w-36"
        />
        <Field
          label="Name"
          value={name}
          onChange={setName}
          placeholder={KINDS.find((known) => known.id === kind)?.placeholder ?? ''}
          error={problem?.field('subject')}
          className="min-w-40 flex-1"
        />
        <Choice
          label="Role"
          options={ROLES.filter((known) => upTo === 'admin' || known.id !== 'admin')}
          value={role}
          onChange={setRole}
          className="w-36"
        />
      </div>
      {limited && (
        <Field
          label="Repositories"
          value={repositories}
          onChange={setRepositories}
          placeholder="acme/*, octo-org/hello-world"
          hint="owner/name, owner/* or *; they are all that a maintainer sees and works with."
          error={problem?.field('repositories')}
        />
      )}
      <p className="text-sm text-soft" aria-live="polite">
        {subject
          ? wouldChange(subject, role, what)
          : 'Nothing changes until somebody is named and the role is given.'}
      </p>
      {problem && !ofField && (
        <p role="alert" className="text-sm text-bad">
          {problem.message}
        </p>
      )}
      <div className="flex justify-end">
        <Button
          type="submit"
          look="primary"
          icon={UserPlus}
          busy={give.isPending}
          isDisabled={!subject || (limited && !repositories.trim())}
        >
          Give it
        </Button>
      </div>
    </form>
  );
}
