import { CircleCheck, CircleDashed, CircleX, type LucideIcon } from 'lucide-react';
import { useMemo } from 'react';
import { DiffFileView } from '@/features/diff/diff-view';
import { parseDiff } from '@/features/diff/parse';
import { AllOfIt } from '@/features/transcript/all-of-it';
import { Fold } from '@/features/transcript/fold';
import { Markdown } from '@/features/transcript/markdown';
import type { Entry } from '@/features/transcript/model';
import { isLong, TerminalText } from '@/features/transcript/terminal-text';
import { type Todo, type ToolCall, toolCall } from '@/features/transcript/tool';
import { harmless, line } from '@/lib/safe';
import { duration } from '@/lib/time';
import { cx } from '@/ui/cx';
import { Spinner } from '@/ui/spinner';
import { Elapsed } from '@/ui/time';

const SIGNS: Record<ToolCall['status'], [LucideIcon, string, string]> = {
  pending: [CircleDashed, 'text-faint', 'not begun'],
  running: [CircleDashed, 'text-info', 'running'],
  completed: [CircleCheck, 'text-good', 'done'],
  error: [CircleX, 'text-bad', 'failed'],
};

/** A longer diff is folded; so is a longer text. */
const SHORT = 24;
/** What is looked at of a diff of one tool call. */
const MOST_DIFF = 200_000;

/** A tool call: one line with what came of it and how long it took; all else on demand. */
export function ToolPart({ run, entry }: { run: string; entry: Entry }) {
  const call = toolCall(entry);
  const { diff } = call;
  const files = useMemo(() => (diff ? parseDiff(diff.slice(0, MOST_DIFF)) : []), [diff]);
  const added = files.reduce((sum, file) => sum + file.added, 0);
  const removed = files.reduce((sum, file) => sum + file.removed, 0);
  const small = files.length > 0 && added + removed <= SHORT;
  const failed = call.status === 'error' || (call.exit !== undefined && call.exit !== 0);
  const [Icon, look, said] = failed ? SIGNS.error : SIGNS[call.status];
  return (
    <Fold
      id={entry.id}
      open={small || call.todos.length > 0}
      summary={
        <span className="flex items-center gap-2">
          {call.status === 'running' ? (
            <Spinner />
          ) : (
            <Icon aria-hidden className={cx('size-3.5 shrink-0', look)} />
          )}
          <span className="shrink-0 text-xs font-semibold text-soft">{call.name}</span>
          <span className="min-w-0 flex-1 truncate font-mono text-xs">{call.subject}</span>
          {files.length > 0 && (
            <span className="shrink-0 font-mono text-xs tabular-nums">
              <span className="text-good">+{added}</span>{' '}
              <span className="text-bad">−{removed}</span>
            </span>
          )}
          <span className={cx('shrink-0 text-xs', failed ? 'text-bad' : 'text-faint')}>
            {call.exit ? `exit ${call.exit}` : said}
            {call.took !== undefined && ` · ${duration(call.took)}`}
            {call.status === 'running' && call.began !== undefined && (
              <>
                {' '}
                · <Elapsed from={new Date(call.began).toISOString()} />
              </>
            )}
          </span>
        </span>
      }
    >
      <div className="flex flex-col gap-2">
        {call.command && (
          <pre className="overflow-x-auto font-mono text-xs break-all whitespace-pre-wrap">
            $ {harmless(call.command)}
          </pre>
        )}
        <Todos todos={call.todos} />
        {files.map((file, index) => (
          <DiffFileView
            // biome-ignore lint/suspicious/noArrayIndexKey: the files of one diff never change.
            key={index}
            file={file}
            heading={files.length > 1}
          />
        ))}
        <Output run={run} entry={entry} call={call} />
        {call.error && (
          <p className="max-h-96 overflow-auto rounded-md bg-bad-soft px-3 py-2 break-words whitespace-pre-wrap text-bad">
            {harmless(call.error.slice(0, 20_000))}
          </p>
        )}
      </div>
    </Fold>
  );
}

function Output({ run, entry, call }: { run: string; entry: Entry; call: ToolCall }) {
  const text = call.output || call.content;
  if (call.diff || call.todos.length > 0) return <AllOfIt run={run} entry={entry} />;
  if (text === '') {
    if (call.status !== 'completed' || call.error) return null;
    return <p className="text-xs text-faint">It printed nothing.</p>;
  }
  if (call.name === 'task') {
    return (
      <div className="rounded-md border border-line px-3 py-2">
        <Markdown text={text} />
        <AllOfIt run={run} entry={entry} />
      </div>
    );
  }
  const long = entry.cut.size > 0 || isLong(text);
  return (
    <TerminalText
      text={text}
      more={long ? <AllOfIt run={run} entry={entry} text={text} /> : undefined}
    />
  );
}

function Todos({ todos }: { todos: Todo[] }) {
  if (todos.length === 0) return null;
  return (
    <ul className="flex flex-col gap-1 text-sm">
      {todos.map((todo, index) => {
        const done = todo.status === 'completed';
        const dropped = todo.status === 'cancelled';
        const Icon = done ? CircleCheck : dropped ? CircleX : CircleDashed;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: to-dos have no other name.
          <li key={index} className="flex items-start gap-2">
            <Icon
              role="img"
              aria-label={line(todo.status, 20).replaceAll('_', ' ') || 'to do'}
              className={cx(
                'mt-0.5 size-3.5 shrink-0',
                done ? 'text-good' : todo.status === 'in_progress' ? 'text-info' : 'text-faint',
              )}
            />
            <span
              className={cx(
                'min-w-0 break-words',
                (done || dropped) && 'text-soft line-through',
                todo.status === 'in_progress' && 'font-medium',
              )}
            >
              {todo.text}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
