import { expect, it } from 'vitest';
import { isShown, kindOf } from '@/features/transcript/kind';
import { toolCall } from '@/features/transcript/tool';

const call = (tool: string, state: Record<string, unknown>) =>
  toolCall(entry({ type: 'tool', tool, state }));

function entry(part: Record<string, unknown>) {
  return { id: 'p', messageId: 'm', role: 'assistant', part, message: {}, cut: new Map() };
}

it('says what a tool was called on, what came of it and how long it took', () => {
  expect(
    call('bash', {
      status: 'completed',
      input: { command: 'npm test\n&& echo done', description: 'Runs the tests' },
      output: 'ok',
      metadata: { exit: 1 },
      time: { start: 1_000, end: 3_500 },
    }),
  ).toMatchObject({
    name: 'bash',
    subject: 'npm test && echo done',
    status: 'completed',
    took: 2_500,
    exit: 1,
    command: 'npm test\n&& echo done',
  });
  expect(
    call('edit', { status: 'error', input: { filePath: '/workspace/repo/src/a.ts' } }),
  ).toMatchObject({
    subject: 'src/a.ts',
    status: 'error',
    took: undefined,
  });
  expect(call('question', { input: { questions: [{ question: 'Which colour?' }] } }).subject).toBe(
    'Which colour?',
  );
});

it('takes whatever a hostile agent sends', () => {
  expect(
    call('x\u202ey'.repeat(100), {
      status: 7,
      input: { command: { no: 'text' }, todos: [null, 3] },
      time: 'never',
    }),
  ).toMatchObject({ status: 'pending', subject: '', took: undefined, output: '' });
  expect(toolCall(entry({ type: 'tool' })).name).toBe('tool');
});

it('shows no parts that say nothing', () => {
  expect(isShown(entry({ type: 'step-start' }))).toBe(false);
  expect(isShown(entry({ type: 'text', text: ' \n' }))).toBe(false);
  expect(isShown(entry({ type: 'text', text: 'a' }))).toBe(true);
  expect(isShown(entry({ type: 'gap' }))).toBe(true);
  // Of a newer agent, or a hostile one: shown by its name, and nothing more.
  for (const type of ['of-tomorrow', 'toString', '__proto__', 7, undefined]) {
    expect(kindOf({ type })).toBeUndefined();
    expect(isShown(entry({ type }))).toBe(true);
  }
});
