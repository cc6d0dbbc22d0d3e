import { useMutation } from '@tanstack/react-query';
import { Send } from 'lucide-react';
import { useState } from 'react';
import { asProblem } from '@/api/problem';
import type { Run } from '@/api/types';
import { promptRun } from '@/features/sessions/actions';
import { Button } from '@/ui/button';
import { Field } from '@/ui/field';

/** Says more to the agent. */
export function Composer({ run }: { run: Run }) {
  const [prompt, setPrompt] = useDraft(run.id);
  const send = useMutation({
    mutationFn: () => promptRun(run.id, prompt),
    onSuccess: () => setPrompt(''),
  });
  const submit = () => {
    if (prompt.trim() && !send.isPending) send.mutate();
  };
  return (
    <form
      id="composer"
      className="flex items-end gap-2 border-t border-line bg-surface p-3"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          submit();
        }
      }}
    >
      <Field
        label="Say more to the agent"
        bare
        placeholder={run.state === 'idle' ? 'What next?' : 'Say more: it is heard after this turn'}
        value={prompt}
        onChange={setPrompt}
        rows={1}
        className="flex-1"
        error={send.error ? asProblem(send.error).message : undefined}
      />
      <Button
        look="primary"
        type="submit"
        icon={Send}
        busy={send.isPending}
        isDisabled={!prompt.trim()}
      >
        Send
      </Button>
    </form>
  );
}

/** What is written and not sent yet outlives a reload; it is this tab's alone. */
function useDraft(run: string): [string, (text: string) => void] {
  const key = `paddock.draft.${run}`;
  const [text, setText] = useState(() => {
    try {
      return sessionStorage.getItem(key) ?? '';
    } catch {
      return '';
    }
  });
  const set = (next: string) => {
    setText(next);
    try {
      if (next === '') sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, next);
    } catch {
      // Not kept; there is nothing better to do.
    }
  };
  return [text, set];
}
