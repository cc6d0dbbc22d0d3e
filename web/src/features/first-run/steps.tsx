import { CircleAlert, CircleCheck } from 'lucide-react';
import type { SystemPart } from '@/api/types';

const STEPS = [
  {
    part: 'model',
    label: 'A model',
    how: 'The agents think with it. Any OpenAI-compatible endpoint will do.',
    settings: ['PADDOCK_MODEL', 'PADDOCK_MODEL_URL', 'PADDOCK_MODEL_KEY_FILE'],
  },
  {
    part: 'forge',
    label: 'GitHub',
    how: 'A token that may push and open pull requests; it never enters a sandbox.',
    settings: ['PADDOCK_GITHUB_TOKEN_FILE'],
  },
] as const;

/** What a first pull request takes outside the demo, and how each stands. */
export function Steps({ parts }: { parts: readonly SystemPart[] }) {
  return (
    <>
      <ol className="mt-4 flex flex-col gap-2 text-left text-sm">
        {STEPS.map(({ part, label, how, settings }) => {
          const now = parts.find(({ name }) => name === part);
          const Icon = now?.ok ? CircleCheck : CircleAlert;
          return (
            <li key={part} className="flex gap-2.5 rounded-md border border-line bg-surface p-3">
              <Icon
                aria-hidden
                className={
                  now?.ok ? 'mt-0.5 size-4 shrink-0 text-good' : 'mt-0.5 size-4 shrink-0 text-bad'
                }
              />
              <div className="min-w-0">
                <h3 className="font-medium text-text">
                  {label}
                  <span className="font-normal text-soft">
                    {now ? `: ${now.detail}` : ': not looked at yet'}
                  </span>
                </h3>
                <p className="text-soft">{how}</p>
                <p className="mt-1 flex flex-wrap gap-x-3 font-mono text-2xs text-soft">
                  {settings.map((name) => (
                    <code key={name}>{name}</code>
                  ))}
                </p>
                {now && !now.ok && now.action && (
                  <p className="mt-1 text-attention">{now.action}</p>
                )}
              </div>
            </li>
          );
        })}
      </ol>
      <p className="mt-3 text-sm text-soft">
        They are variables in the environment of <code className="font-mono">paddock up</code>;{' '}
        <code className="font-mono">paddock config check</code> says what they come to.
      </p>
    </>
  );
}
