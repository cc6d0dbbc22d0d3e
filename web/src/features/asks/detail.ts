import type { Input } from '@/api/types';
import { harmless, line } from '@/lib/safe';

/** What an agent asks to be allowed. */
export interface PermissionAsk {
  kind: 'permission';
  /** The agent's name of the right: "bash", "edit", "webfetch". */
  right: string;
  /** In words: "asks to run". */
  words: string;
  /** What exactly: commands, paths, addresses. All of it, harmless to show. */
  subjects: string[];
  /** What "always" would allow from then on. */
  always: string[];
}

export interface Question {
  text: string;
  header: string;
  options: { label: string; description: string }[];
  multiple: boolean;
  custom: boolean;
}

export interface QuestionAsk {
  kind: 'question';
  questions: Question[];
}

/** What was asked is gone: it was erased, or is not of a form that is known. */
export interface UnknownAsk {
  kind: 'unknown';
  text: string;
}

export type Ask = PermissionAsk | QuestionAsk | UnknownAsk;

const WORDS: Record<string, string> = {
  bash: 'asks to run',
  edit: 'asks to edit',
  write: 'asks to write',
  read: 'asks to read',
  webfetch: 'asks to fetch',
  external_directory: 'asks to go outside its workspace, to',
  doom_loop: 'repeats itself and asks to go on with',
};

/** Reads the agent's own JSON of what it asks. It is hostile: nothing in it is trusted to be there. */
export function askOf(input: Input): Ask {
  const detail = record(input.detail);
  if (input.kind === 'permission' && detail) {
    const right = line(string(detail['permission']) || string(detail['type']) || 'something', 60);
    const metadata = record(detail['metadata']) ?? {};
    const exact = [metadata['command'], metadata['filepath'], metadata['url']]
      .map(string)
      .filter((text) => text !== '');
    const patterns = strings(detail['patterns']);
    const subjects = (exact.length > 0 ? exact : patterns).map(harmless);
    const always = strings(detail['always']).map(harmless);
    return {
      kind: 'permission',
      right,
      words: WORDS[right] ?? `asks for ${right}:`,
      subjects,
      always,
    };
  }
  if (input.kind === 'question' && detail && Array.isArray(detail['questions'])) {
    const questions = detail['questions'].flatMap((value): Question[] => {
      const question = record(value);
      if (!question) return [];
      const options = Array.isArray(question['options']) ? question['options'] : [];
      return [
        {
          text: harmless(string(question['question'])),
          header: line(string(question['header']), 80),
          options: options.flatMap((each) => {
            const option = record(each);
            const label = option ? string(option['label']) : '';
            return option && label
              ? [{ label, description: line(string(option['description'])) }]
              : [];
          }),
          multiple: question['multiple'] === true,
          custom: question['custom'] !== false,
        },
      ];
    });
    if (questions.length > 0) return { kind: 'question', questions };
  }
  return {
    kind: 'unknown',
    text: detail ? line(JSON.stringify(detail), 400) : 'What it asked was erased.',
  };
}

/** The ask in one line. */
export function askLine(ask: Ask): string {
  switch (ask.kind) {
    case 'permission':
      return line(`${ask.words} ${ask.subjects.join(', ')}`);
    case 'question':
      return line(ask.questions.map((question) => question.text).join(' · '));
    case 'unknown':
      return ask.text;
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
