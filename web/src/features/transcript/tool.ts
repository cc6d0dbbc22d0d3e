import type { ToolState } from '@opencode-ai/sdk/v2';
import type { Entry } from '@/features/transcript/model';
import { at } from '@/features/transcript/pointer';
import { line } from '@/lib/safe';

export interface ToolCall {
  name: string;
  /** What it was called on, in one line. */
  subject: string;
  status: ToolState['status'];
  /** In milliseconds, once it has begun. */
  took: number | undefined;
  began: number | undefined;
  output: string;
  error: string;
  /** The change that it made, as a unified diff. */
  diff: string | undefined;
  todos: Todo[];
  exit: number | undefined;
  /** What a shell was told. */
  command: string;
  /** What it wrote to a file. */
  content: string;
}

export interface Todo {
  text: string;
  status: string;
}

const SUBJECTS = [
  'command',
  'filePath',
  'file_path',
  'path',
  'pattern',
  'url',
  'query',
  'description',
  'prompt',
  'questions/0/question',
];

/** Where every agent works: it goes without saying. */
const WORKSPACE = /^\/workspace\/repo\//;

/** A tool call in the words of whoever reads it. */
export function toolCall(entry: Entry): ToolCall {
  const { part } = entry;
  const string = (pointer: string) => {
    const value = at(part, pointer);
    return typeof value === 'string' ? value : '';
  };
  const number = (pointer: string) => {
    const value = at(part, pointer);
    return typeof value === 'number' ? value : undefined;
  };
  const status = string('/state/status');
  const began = number('/state/time/start');
  const ended = number('/state/time/end');
  const title = string('/state/title');
  const subject =
    SUBJECTS.map((key) => string(`/state/input/${key}`)).find((value) => value !== '') ?? title;
  const diff = string('/state/metadata/diff') || string('/state/metadata/patch');
  const todos = at(part, '/state/input/todos');
  return {
    name: line(string('/tool') || 'tool', 40),
    subject: line((subject || title).replace(WORKSPACE, ''), 240),
    status:
      status === 'running' || status === 'completed' || status === 'error' ? status : 'pending',
    began,
    took: began !== undefined && ended !== undefined ? ended - began : undefined,
    output: string('/state/output') || string('/state/metadata/output'),
    error: string('/state/error'),
    diff: diff || undefined,
    todos: Array.isArray(todos)
      ? todos.map((todo: unknown) => ({
          text: line(String(at(todo, '/content') ?? '')),
          status: String(at(todo, '/status') ?? ''),
        }))
      : [],
    exit: number('/state/metadata/exit'),
    command: string('/tool') === 'bash' ? string('/state/input/command') : '',
    content: string('/tool') === 'write' ? string('/state/input/content') : '',
  };
}
