import { expect, it } from 'vitest';
import type { Input } from '@/api/types';
import { askLine, askOf } from '@/features/asks/detail';

const input = (kind: Input['kind'], detail: unknown): Input => ({
  id: 'per_1',
  run_id: '0190aaaa-aaaa-7aaa-aaaa-aaaaaaaaaaaa',
  kind,
  detail,
  since: '2026-01-01T00:00:00Z',
  until: '2026-01-01T01:00:00Z',
});

it('says what is to be run, whole', () => {
  const ask = askOf(
    input('permission', {
      permission: 'bash',
      patterns: ['npm *'],
      metadata: { command: 'npm test && rm -rf \u202ebuild' },
      always: ['npm *'],
    }),
  );
  expect(ask).toMatchObject({
    kind: 'permission',
    subjects: ['npm test && rm -rf ⟨U+202E⟩build'],
    always: ['npm *'],
  });
  expect(askLine(ask)).toBe('asks to run npm test && rm -rf ⟨U+202E⟩build');
});

it('keeps what it does not know harmless', () => {
  for (const detail of [null, 'text', [], { questions: 'no' }, { permission: 7 }]) {
    for (const kind of ['permission', 'question'] as const) {
      expect(askLine(askOf(input(kind, detail)))).not.toBe('');
    }
  }
});

it('reads every part of a question', () => {
  const ask = askOf(
    input('question', {
      questions: [
        {
          question: 'Which colour?',
          header: 'Colour',
          options: [{ label: 'blue', description: 'calm' }, 7],
        },
        { question: 'How many?', options: [], multiple: true, custom: false },
      ],
    }),
  );
  expect(ask).toMatchObject({
    questions: [
      { text: 'Which colour?', options: [{ label: 'blue' }], multiple: false, custom: true },
      { text: 'How many?', multiple: true, custom: false },
    ],
  });
});
