import {
  Bot,
  CircleAlert,
  CircleX,
  Ellipsis,
  FileText,
  type LucideIcon,
  RotateCw,
  User,
} from 'lucide-react';
import { memo, type ReactNode } from 'react';
import { AllOfIt } from '@/features/transcript/all-of-it';
import { Fold } from '@/features/transcript/fold';
import { kindOf } from '@/features/transcript/kind';
import { Markdown, MOST } from '@/features/transcript/markdown';
import type { Entry } from '@/features/transcript/model';
import { at } from '@/features/transcript/pointer';
import { ToolPart } from '@/features/transcript/tool-part';
import { harmless, line } from '@/lib/safe';
import { exact, minute } from '@/lib/time';
import { cx } from '@/ui/cx';

interface PartProps {
  run: string;
  entry: Entry;
}

/** One part of a transcript. */
export const Part = memo(function Part({ run, entry }: PartProps) {
  const { part } = entry;
  const text = typeof part['text'] === 'string' ? part['text'] : '';
  switch (kindOf(part)) {
    case 'text':
      return entry.role === 'user' ? (
        <Said icon={User} name="You" at={entry.message.created} tone>
          <p className="break-words whitespace-pre-wrap">{harmless(text.slice(0, MOST))}</p>
          <AllOfIt run={run} entry={entry} {...(text.length > MOST ? { text } : {})} />
        </Said>
      ) : (
        <Said icon={Bot} name={entry.message.model ?? 'The agent'} at={entry.message.created}>
          <Markdown text={text} />
          <AllOfIt run={run} entry={entry} {...(text.length > MOST ? { text } : {})} />
        </Said>
      );
    case 'reasoning':
      return (
        <Fold
          id={entry.id}
          summary={<span className="text-soft italic">Thought: {line(text, 140)}</span>}
        >
          <div className="text-soft">
            <Markdown text={text} />
            <AllOfIt run={run} entry={entry} />
          </div>
        </Fold>
      );
    case 'tool':
      return <ToolPart run={run} entry={entry} />;
    case 'file':
      return (
        <Note icon={FileText}>
          A file: {line(String(part['filename'] ?? part['mime'] ?? 'without a name'))}
        </Note>
      );
    case 'subtask':
    case 'agent':
      return (
        <Note icon={Bot}>
          A task for another agent:{' '}
          {line(String(part['description'] ?? part['prompt'] ?? part['name'] ?? ''))}
        </Note>
      );
    case 'retry':
      return (
        <Note icon={RotateCw} tone="attention">
          The model did not answer and is asked again:{' '}
          {line(String(at(part, '/error/data/message') ?? at(part, '/error/message') ?? ''))}
        </Note>
      );
    case 'compaction':
      return <Note icon={Ellipsis}>The conversation so far was summed up, to make room.</Note>;
    case 'gap':
      return (
        <Note icon={CircleAlert} tone="attention">
          Something is missing here: {line(String(part['reason'] ?? 'nobody knows why'))}
        </Note>
      );
    case 'error':
      return (
        <Note icon={CircleX} tone="bad">
          {line(text, 1_000)}
        </Note>
      );
    case 'step-start':
    case 'step-finish':
    case 'snapshot':
    case 'patch':
      return null;
    case undefined:
      return <Note icon={Ellipsis}>{line(String(part['type'] ?? 'a part'))}</Note>;
  }
});

function Said({
  icon: Icon,
  name,
  at: time,
  tone = false,
  children,
}: {
  icon: LucideIcon;
  name: string;
  at: string | null | undefined;
  tone?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={cx('flex gap-2.5 rounded-lg px-3 py-2.5', tone && 'bg-accent-soft/60')}>
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0 text-soft" />
      <div className="min-w-0 flex-1">
        <p className="mb-0.5 flex gap-2 text-xs text-soft">
          <span className="min-w-0 flex-1 truncate font-semibold">{line(name, 80)}</span>
          {time && <Clock at={Date.parse(time)} />}
        </p>
        {children}
      </div>
    </div>
  );
}

/** The time of day: a transcript is read against others, and does not move. */
function Clock({ at: time }: { at: number }) {
  if (Number.isNaN(time)) return null;
  return (
    <time dateTime={new Date(time).toISOString()} title={exact(time)} className="tabular-nums">
      {minute(time)}
    </time>
  );
}

function Note({
  icon: Icon,
  tone,
  children,
}: {
  icon: LucideIcon;
  tone?: 'attention' | 'bad';
  children: ReactNode;
}) {
  return (
    <p
      className={cx(
        'flex items-start gap-2.5 rounded-lg px-3 py-2 text-sm break-words',
        tone === 'attention' && 'bg-attention-soft text-attention',
        tone === 'bad' && 'bg-bad-soft text-bad',
        !tone && 'text-soft',
      )}
    >
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span className="min-w-0">{children}</span>
    </p>
  );
}
