import {
  Bot,
  ChevronDown,
  ChevronRight,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleX,
  Ellipsis,
  FileText,
  type LucideIcon,
  RotateCw,
  User,
} from 'lucide-react';
import { lazy, memo, type ReactNode, Suspense, useState } from 'react';
import { DiffFileView } from '@/features/diff/diff-view';
import { parseDiff } from '@/features/diff/parse';
import { Markdown } from '@/features/transcript/markdown';
import type { Entry } from '@/features/transcript/model';
import { at } from '@/features/transcript/pointer';
import { TerminalText } from '@/features/transcript/terminal-text';
import { type ToolCall, toolCall } from '@/features/transcript/tool';
import { bytes } from '@/lib/format';
import { harmless, line } from '@/lib/safe';
import { duration } from '@/lib/time';
import { cx } from '@/ui/cx';
import { Spinner } from '@/ui/spinner';

const WholePart = lazy(() =>
  import('@/features/transcript/whole-part').then(({ WholePart }) => ({ default: WholePart })),
);

interface PartProps {
  run: string;
  entry: Entry;
}

/** One part of a transcript. */
export const Part = memo(function Part({ run, entry }: PartProps) {
  const { part } = entry;
  const text = typeof part['text'] === 'string' ? part['text'] : '';
  switch (part['type']) {
    case 'text':
      return entry.role === 'user' ? (
        <Said icon={User} name="You" tone>
          <p className="break-words whitespace-pre-wrap">{harmless(text)}</p>
          <Cut run={run} entry={entry} />
        </Said>
      ) : (
        <Said icon={Bot} name={entry.message.model ?? 'The agent'}>
          <Markdown text={text} />
          <Cut run={run} entry={entry} />
        </Said>
      );
    case 'reasoning':
      return (
        <Fold summary={<span className="text-soft italic">Thought: {line(text, 140)}</span>}>
          <div className="text-soft">
            <Markdown text={text} />
          </div>
        </Fold>
      );
    case 'tool':
      return <Tool run={run} entry={entry} />;
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
    default:
      return <Note icon={Ellipsis}>{line(String(part['type'] ?? 'a part'))}</Note>;
  }
});

function Said({
  icon: Icon,
  name,
  tone = false,
  children,
}: {
  icon: LucideIcon;
  name: string;
  tone?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={cx('flex gap-2.5 rounded-lg px-3 py-2.5', tone && 'bg-accent-soft/60')}>
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0 text-soft" />
      <div className="min-w-0 flex-1">
        <p className="mb-0.5 text-xs font-semibold text-soft">{line(name, 80)}</p>
        {children}
      </div>
    </div>
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

function Fold({
  summary,
  children,
  open: initial = false,
}: {
  summary: ReactNode;
  children: ReactNode;
  open?: boolean;
}) {
  const [open, setOpen] = useState(initial);
  const Icon = open ? ChevronDown : ChevronRight;
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="flex w-full cursor-pointer items-center gap-2 rounded-md px-3 py-1.5 text-left text-sm hover:bg-sunken"
      >
        <Icon aria-hidden className="size-4 shrink-0 text-faint" />
        <span className="min-w-0 flex-1 truncate">{summary}</span>
      </button>
      {open && <div className="pt-1 pr-3 pb-2 pl-9">{children}</div>}
    </div>
  );
}

const SIGNS: Record<ToolCall['status'], [LucideIcon, string, string]> = {
  pending: [CircleDashed, 'text-faint', 'not begun'],
  running: [CircleDashed, 'text-info', 'running'],
  completed: [CircleCheck, 'text-good', 'done'],
  error: [CircleX, 'text-bad', 'failed'],
};

function Tool({ run, entry }: PartProps) {
  const call = toolCall(entry);
  const failed = call.status === 'error' || (call.exit !== undefined && call.exit !== 0);
  const [Icon, look, said] = failed ? SIGNS.error : SIGNS[call.status];
  return (
    <Fold
      summary={
        <span className="flex items-center gap-2">
          {call.status === 'running' ? (
            <Spinner />
          ) : (
            <Icon aria-hidden className={cx('size-3.5 shrink-0', look)} />
          )}
          <span className="shrink-0 text-xs font-semibold text-soft">{call.name}</span>
          <span className="min-w-0 flex-1 truncate font-mono text-xs">{call.subject}</span>
          <span className={cx('shrink-0 text-xs', failed ? 'text-bad' : 'text-faint')}>
            {call.exit ? `exit ${call.exit}` : said}
            {call.took !== undefined && ` · ${duration(call.took)}`}
          </span>
        </span>
      }
    >
      <div className="flex flex-col gap-2">
        {call.name === 'bash' && (
          <pre className="overflow-x-auto font-mono text-xs break-all whitespace-pre-wrap">
            $ {harmless(String(at(entry.part, '/state/input/command') ?? call.subject))}
          </pre>
        )}
        {call.todos.length > 0 && (
          <ul className="flex flex-col gap-1 text-sm">
            {call.todos.map((todo, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: to-dos have no other name.
              <li key={index} className="flex items-center gap-2">
                {todo.status === 'completed' ? (
                  <CircleCheck aria-label="done" className="size-3.5 text-good" />
                ) : (
                  <CircleDashed
                    aria-label={line(todo.status, 20)}
                    className="size-3.5 text-faint"
                  />
                )}
                <span className={cx(todo.status === 'completed' && 'text-soft line-through')}>
                  {todo.text}
                </span>
              </li>
            ))}
          </ul>
        )}
        {call.diff
          ? parseDiff(call.diff.slice(0, 200_000)).map((file) => (
              <DiffFileView key={file.path} file={file} heading={file.path !== ''} />
            ))
          : call.output && call.todos.length === 0 && <TerminalText text={call.output} />}
        {call.error && (
          <p className="rounded-md bg-bad-soft px-3 py-2 break-words whitespace-pre-wrap text-bad">
            {harmless(call.error)}
          </p>
        )}
        {!call.output && !call.error && !call.diff && call.status === 'completed' && (
          <p className="text-xs text-faint">It printed nothing.</p>
        )}
        <Cut run={run} entry={entry} />
      </div>
    </Fold>
  );
}

/** What is too long to be here: how long it is, and the way to all of it. */
function Cut({ run, entry }: PartProps) {
  const [open, setOpen] = useState(false);
  const total = [...entry.cut.values()].reduce((sum, each) => sum + each, 0);
  if (total === 0) return null;
  return (
    <p className="mt-1 text-xs text-soft">
      Cut here: {bytes(total)} in all.{' '}
      <button
        type="button"
        className="cursor-pointer text-info underline"
        onClick={() => setOpen(true)}
      >
        Show all of it
      </button>
      {open && (
        <Suspense fallback={<Spinner label="Loading" />}>
          <WholePart
            run={run}
            part={entry.id}
            pointers={[...entry.cut.keys()]}
            onClose={() => setOpen(false)}
          />
        </Suspense>
      )}
    </p>
  );
}
