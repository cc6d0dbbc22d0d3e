import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { asProblem } from '@/api/problem';
import type { Credential } from '@/api/types';
import { rotate } from '@/features/credentials/query';
import { ValueField } from '@/features/credentials/value';
import { Button } from '@/ui/button';
import { Dialog } from '@/ui/dialog';
import { done } from '@/ui/toast';

interface RotateProps {
  credential: Credential;
  isOpen: boolean;
  onClose(): void;
}

/** Gives a credential another value. */
export function RotateCredential({ credential, isOpen, onClose }: RotateProps) {
  return (
    <Dialog title={`Rotate ${credential.name}`} isOpen={isOpen} onClose={onClose}>
      {isOpen && <Form credential={credential} onDone={onClose} />}
    </Dialog>
  );
}

function Form({ credential, onDone }: { credential: Credential; onDone(): void }) {
  const [value, setValue] = useState('');
  const send = useMutation({
    mutationFn: () => rotate(credential.id, value.trim()),
    onSuccess: () => {
      done('Rotated');
      onDone();
    },
  });
  const problem = send.error ? asProblem(send.error) : undefined;
  return (
    <form
      className="flex flex-col gap-3"
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (value.trim() && !send.isPending) send.mutate();
      }}
    >
      <p className="text-sm text-soft">
        The next request of every run that carries it goes out with the new value; the old one is
        forgotten here.
      </p>
      <ValueField
        app={credential.kind === 'app'}
        value={value}
        onChange={setValue}
        error={problem?.field('value')}
      />
      {problem && !problem.field('value') && (
        <p role="alert" className="text-sm text-bad">
          {problem.message}
        </p>
      )}
      <div className="flex justify-end gap-2">
        <Button onPress={onDone}>Leave it</Button>
        <Button type="submit" look="primary" busy={send.isPending} isDisabled={!value.trim()}>
          Rotate it
        </Button>
      </div>
    </form>
  );
}
