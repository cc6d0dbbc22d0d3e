import { useMutation } from '@tanstack/react-query';
import { MessageCircleQuestion, ShieldQuestion } from 'lucide-react';
import { useId, useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { components } from '@/api/generated';
import { readRun } from '@/api/query';
import type { Input } from '@/api/types';
import { type Ask, askOf, type Question } from '@/features/asks/detail';
import { Button } from '@/ui/button';
import { Field } from '@/ui/field';
import { RelativeTime } from '@/ui/time';
import { failed } from '@/ui/toast';

type Answer = components['schemas']['NewAnswer'];

interface AskCardProps {
  input: Input;
  /** Whether the server would take an answer of this person. */
  may: boolean;
  compact?: boolean;
}

/** What an agent waits for, with the ways to answer it for those who may. */
export function AskCard({ input, may, compact = false }: AskCardProps) {
  const ask = askOf(input);
  const answer = useMutation({
    mutationFn: async (body: Answer) => {
      const accepted = await unwrap(
        api.POST('/api/v1/runs/{id}/inputs/{input}', {
          params: { path: { id: input.run_id, input: input.id } },
          body,
        }),
      );
      await readRun(input.run_id, accepted);
    },
    onError: failed,
  });
  const Icon = ask.kind === 'question' ? MessageCircleQuestion : ShieldQuestion;
  const title = useId();
  return (
    <section
      aria-labelledby={title}
      className="flex flex-col gap-3 rounded-lg border border-attention-line bg-attention-soft p-3"
    >
      <header className="flex items-start gap-2">
        <Icon aria-hidden className="mt-0.5 size-4 shrink-0 text-attention" />
        <h3 id={title} className="min-w-0 flex-1 font-semibold text-attention">
          {ask.kind === 'permission'
            ? `The agent ${ask.words.replace(/:$/, '')}`
            : 'The agent asks'}
        </h3>
        <span className="shrink-0 text-xs text-soft">
          refused <RelativeTime at={input.until} />
        </span>
      </header>
      {may ? (
        <AskBody
          ask={ask}
          compact={compact}
          busy={answer.isPending || answer.isSuccess}
          onAnswer={(body) => answer.mutate(body)}
        />
      ) : (
        <p className="text-sm text-soft">A maintainer of this session can answer.</p>
      )}
    </section>
  );
}

interface AskBodyProps {
  ask: Ask;
  compact: boolean;
  busy: boolean;
  onAnswer(answer: Answer): void;
}

function AskBody({ ask, compact, busy, onAnswer }: AskBodyProps) {
  if (ask.kind === 'question') {
    return <Questions questions={ask.questions} busy={busy} onAnswer={onAnswer} />;
  }
  return (
    <>
      {ask.kind === 'permission' ? (
        <ul className="flex flex-col gap-1">
          {ask.subjects.map((subject) => (
            <li key={subject}>
              <pre className="max-h-40 overflow-auto rounded-md bg-surface px-2.5 py-1.5 font-mono text-xs break-all whitespace-pre-wrap">
                {subject}
              </pre>
            </li>
          ))}
        </ul>
      ) : (
        <p className="text-sm break-words">{ask.text}</p>
      )}
      <Permission ask={ask} compact={compact} busy={busy} onAnswer={onAnswer} />
    </>
  );
}

function Permission({ ask, compact, busy, onAnswer }: AskBodyProps) {
  const [refusing, setRefusing] = useState(false);
  const [message, setMessage] = useState('');
  if (refusing) {
    return (
      <form
        className="flex flex-col gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          onAnswer({ reply: 'reject', ...(message.trim() ? { message: message.trim() } : {}) });
        }}
      >
        <Field
          label="What should it do instead?"
          hint="The agent reads this. Empty is fine."
          value={message}
          onChange={setMessage}
          rows={2}
          autoFocus
        />
        <div className="flex gap-2">
          <Button look="danger" type="submit" busy={busy}>
            Refuse
          </Button>
          <Button look="quiet" onPress={() => setRefusing(false)}>
            Back
          </Button>
        </div>
      </form>
    );
  }
  const always = ask.kind === 'permission' ? ask.always : [];
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button look="primary" busy={busy} onPress={() => onAnswer({ reply: 'once' })}>
        Allow once
      </Button>
      <Button isDisabled={busy} onPress={() => onAnswer({ reply: 'always' })}>
        Always allow
      </Button>
      <Button look="danger" isDisabled={busy} onPress={() => setRefusing(true)}>
        Refuse…
      </Button>
      {!compact && always.length > 0 && (
        <span className="text-xs text-soft">
          Always: <code className="font-mono">{always.join(', ')}</code> for the rest of this
          session
        </span>
      )}
    </div>
  );
}

interface QuestionsProps {
  questions: Question[];
  busy: boolean;
  onAnswer(answer: Answer): void;
}

function Questions({ questions, busy, onAnswer }: QuestionsProps) {
  const [answers, setAnswers] = useState<string[][]>(() => questions.map(() => []));
  const [own, setOwn] = useState<string[]>(() => questions.map(() => ''));
  const given = answers.map((chosen, index) => {
    const text = own[index]?.trim();
    return text ? [...chosen, text] : chosen;
  });
  const ready = given.every((each) => each.length > 0);
  const choose = (index: number, label: string, multiple: boolean) => {
    setAnswers((before) =>
      before.map((chosen, at) => {
        if (at !== index) return chosen;
        const has = chosen.includes(label);
        if (multiple) return has ? chosen.filter((each) => each !== label) : [...chosen, label];
        return has ? [] : [label];
      }),
    );
  };
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onAnswer({ answers: given });
      }}
    >
      {questions.map((question, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the questions of one ask never change.
        <fieldset key={index} className="flex flex-col gap-2">
          <legend className="mb-2 text-sm font-medium break-words whitespace-pre-wrap">
            {question.text}
          </legend>
          <div className="flex flex-wrap gap-2">
            {question.options.map((option) => {
              const chosen = answers[index]?.includes(option.label) ?? false;
              return (
                <button
                  key={option.label}
                  type="button"
                  aria-pressed={chosen}
                  onClick={() => choose(index, option.label, question.multiple)}
                  className={
                    chosen
                      ? 'rounded-md border border-accent bg-accent-soft px-3 py-1.5 text-left text-sm'
                      : 'cursor-pointer rounded-md border border-line-strong/60 bg-surface px-3 py-1.5 text-left text-sm hover:bg-sunken'
                  }
                >
                  <span className="block font-medium">{option.label}</span>
                  {option.description && (
                    <span className="block text-xs text-soft">{option.description}</span>
                  )}
                </button>
              );
            })}
          </div>
          {question.custom && (
            <Field
              label={question.options.length > 0 ? 'Or in your own words' : 'Your answer'}
              value={own[index] ?? ''}
              onChange={(text) =>
                setOwn((before) => before.map((each, at) => (at === index ? text : each)))
              }
            />
          )}
        </fieldset>
      ))}
      <div>
        <Button look="primary" type="submit" busy={busy} isDisabled={!ready}>
          Answer
        </Button>
      </div>
    </form>
  );
}
