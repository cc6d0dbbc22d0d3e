import { expect, it } from 'vitest';
import { at, TranscriptModel } from '@/features/transcript/model';

const page = (
  id: string,
  part: Record<string, unknown>,
  cut: { field: string; bytes: number }[] = [],
) => ({
  id,
  message_id: 'm1',
  role: 'assistant',
  part,
  message: {},
  cut,
});

it('grows a text by its pieces and drops what it has', () => {
  const model = new TranscriptModel();
  model.live([
    { seq: 1, item: 'message', id: 'm1', info: { role: 'assistant' } },
    { seq: 2, item: 'part', id: 'p1', message: 'm1', part: { type: 'text' } },
    { seq: 3, item: 'text', part: 'p1', field: '/text', offset: 0, text: 'grüß' },
    { seq: 4, item: 'text', part: 'p1', field: '/text', offset: 6, text: ' dich' },
    { seq: 4, item: 'text', part: 'p1', field: '/text', offset: 6, text: ' dich' },
    { seq: 5, item: 'part', id: 'p1', message: 'm1', part: { type: 'text', time: { end: 1 } } },
  ]);
  expect(model.entries()).toHaveLength(1);
  expect(model.entries()[0]).toMatchObject({
    role: 'assistant',
    part: { type: 'text', text: 'grüß dich', time: { end: 1 } },
  });
});

it('puts pages before what is live, in the order of ids, and repeats nothing', () => {
  const model = new TranscriptModel();
  model.page([page('p3', { type: 'text', text: 'c' }), page('p4', { type: 'text', text: 'd' })]);
  model.live([
    { seq: 9, item: 'part', id: 'p5', message: 'm1', part: { type: 'text', text: 'e' } },
    { seq: 10, item: 'part', id: 'p1', message: 'm1', part: { type: 'text', text: 'old' } },
  ]);
  model.page([
    page('p2', { type: 'text', text: 'b' }),
    page('p3', { type: 'text', text: 'stale' }),
  ]);
  expect(model.entries().map(({ id, part }) => [id, part['text']])).toEqual([
    ['p2', 'b'],
    ['p3', 'c'],
    ['p4', 'd'],
    ['p5', 'e'],
  ]);
});

it('goes on where a page cut a long text, and keeps the end of an endless one', () => {
  const model = new TranscriptModel();
  model.page([
    page('p1', { type: 'tool', state: { output: 'head…tail' } }, [
      { field: '/state/output', bytes: 90_000 },
    ]),
  ]);
  model.live([
    { seq: 1, item: 'text', part: 'p1', field: '/state/output', offset: 90_000, text: '!' },
  ]);
  expect(at(model.entries()[0]?.part, '/state/output')).toBe('head…tail!');
  const line = 'x'.repeat(60_000);
  for (let piece = 0; piece < 20; piece += 1) {
    const offset = 90_001 + piece * line.length;
    model.live([{ seq: 2, item: 'text', part: 'p1', field: '/state/output', offset, text: line }]);
  }
  const entry = model.entries()[0];
  expect(String(at(entry?.part, '/state/output')).length).toBeLessThanOrEqual(256 * 1024);
  expect(entry?.cut.get('/state/output')).toBe(90_001 + 20 * 60_000);
});

it('takes back what the agent takes back, and says where something is missing', () => {
  const model = new TranscriptModel();
  model.page([page('p1', { type: 'text', text: 'a' }), page('p2', { type: 'text', text: 'b' })]);
  model.live([
    { seq: 1, item: 'removed', id: 'p1' },
    { seq: 2, item: 'gap', reason: 'the spool was full' },
  ]);
  expect(model.entries().map(({ part }) => part['type'])).toEqual(['text', 'gap']);
});
