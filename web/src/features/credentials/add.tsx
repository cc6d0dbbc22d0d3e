import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { asProblem } from '@/api/problem';
import { useMay } from '@/features/access/query';
import { register } from '@/features/credentials/query';
import { ValueField } from '@/features/credentials/value';
import { Button } from '@/ui/button';
import { Choice } from '@/ui/choice';
import { Dialog } from '@/ui/dialog';
import { Field, Switch } from '@/ui/field';
import { done } from '@/ui/toast';

const KINDS = [
  { id: 'pat', label: 'Fine-grained token', detail: 'Of a person, for repositories of theirs' },
  { id: 'app', label: 'GitHub App', detail: 'Its key makes a token for each run' },
] as const;

interface AddProps {
  isOpen: boolean;
  onClose(): void;
}

export function AddCredential({ isOpen, onClose }: AddProps) {
  return (
    <Dialog title="Register a credential" isOpen={isOpen} onClose={onClose}>
      {isOpen && <Form onDone={onClose} />}
    </Dialog>
  );
}

function Form({ onDone }: { onDone(): void }) {
  const maySharedOnes = useMay('credential.register-shared');
  const [kind, setKind] = useState<(typeof KINDS)[number]['id']>('pat');
  const [name, setName] = useState('');
  const [app, setApp] = useState('');
  const [value, setValue] = useState('');
  const [repo, setRepo] = useState('');
  const [shared, setShared] = useState(false);
  const number = Number(app);
  const add = useMutation({
    mutationFn: () =>
      register({
        name: name.trim(),
        value: value.trim(),
        shared,
        ...(kind === 'app' ? { app: number } : {}),
        ...(repo.trim() ? { repo: repo.trim() } : {}),
      }),
    onSuccess: () => {
      done('Registered');
      onDone();
    },
  });
  const problem = add.error ? asProblem(add.error) : undefined;
  const whole =
    name.trim() !== '' && value.trim() !== '' && (kind === 'pat' || Number.isSafeInteger(number));
  return (
    <form
      className="flex flex-col gap-3"
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (whole && !add.isPending) add.mutate();
      }}
    >
      <Choice
        label="Kind"
        options={KINDS}
        value={kind}
        onChange={(id) => setKind(id === 'app' ? 'app' : 'pat')}
        hint={
          kind === 'pat'
            ? 'It needs contents and pull requests, to read and write, on the repositories of your runs.'
            : 'Each run gets a token for its own repository, which ends with it.'
        }
      />
      <Field
        label="Name"
        value={name}
        onChange={setName}
        placeholder="work"
        autoFocus
        error={problem?.field('name')}
      />
      {kind === 'app' && (
        <Field
          label="Number of the app"
          value={app}
          onChange={setApp}
          placeholder="123456"
          inputMode="numeric"
          error={problem?.field('app')}
        />
      )}
      <ValueField
        app={kind === 'app'}
        value={value}
        onChange={setValue}
        error={problem?.field('value')}
      />
      <Field
        label="Repository to verify it on"
        value={repo}
        onChange={setRepo}
        placeholder="owner/name"
        hint="It is asked for whether it is there and may be pushed to."
        error={problem?.field('repo')}
      />
      {maySharedOnes && (
        <Switch selected={shared} onChange={setShared}>
          Nobody’s own: I give it to those who may use it
        </Switch>
      )}
      {problem && !problem.problem.errors?.length && (
        <p role="alert" className="text-sm text-bad">
          {problem.message}
        </p>
      )}
      <div className="flex justify-end gap-2">
        <Button onPress={onDone}>Leave it</Button>
        <Button type="submit" look="primary" busy={add.isPending} isDisabled={!whole}>
          Register and verify
        </Button>
      </div>
    </form>
  );
}
