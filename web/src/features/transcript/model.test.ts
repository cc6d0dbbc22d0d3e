import { expect, it } from 'vitest';
import { TranscriptModel } from '@/features/transcript/model';
import { at } from '@/features/transcript/pointer';

const entries = (model: TranscriptModel) => model.rows.map(({ entry }) => entry);

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
  expect(entries(model)).toHaveLength(1);
  expect(entries(model)[0]).toMatchObject({
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
  expect(entries(model).map(({ id, part }) => [id, part['text']])).toEqual([
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
  expect(at(entries(model)[0]?.part, '/state/output')).toBe('head…tail!');
  const line = 'x'.repeat(60_000);
  for (let piece = 0; piece < 20; piece += 1) {
    const offset = 90_001 + piece * line.length;
    model.live([{ seq: 2, item: 'text', part: 'p1', field: '/state/output', offset, text: line }]);
  }
  const entry = entries(model)[0];
  expect(String(at(entry?.part, '/state/output')).length).toBeLessThanOrEqual(512 * 1024);
  expect(entry?.cut.get('/state/output')).toBe(90_001 + 20 * 60_000);
});

it('takes back what the agent takes back, and says where something is missing', () => {
  const model = new TranscriptModel();
  model.page([page('p1', { type: 'text', text: 'a' }), page('p2', { type: 'text', text: 'b' })]);
  model.live([
    { seq: 1, item: 'removed', id: 'p1' },
    { seq: 2, item: 'gap', reason: 'the spool was full' },
  ]);
  expect(entries(model).map(({ part }) => part['type'])).toEqual(['text', 'gap']);
});

it('keeps a gap at its place, and the order of messages before that of parts', () => {
  const model = new TranscriptModel();
  model.page([
    page('p1', { type: 'text', text: 'a' }),
    page('gap-7', { type: 'gap', reason: 'a line too long' }),
    page('p3', { type: 'text', text: 'b' }),
    { ...page('p2', { type: 'text', text: 'asked meanwhile' }), message_id: 'm2', role: 'user' },
  ]);
  model.live([
    { seq: 9, item: 'part', id: 'p4', message: 'm1', part: { type: 'text', text: 'c' } },
  ]);
  expect(entries(model).map(({ id }) => id)).toEqual(['p1', 'gap-7', 'p3', 'p4', 'p2']);
});

it('shows a part once it says something, and holds still the rows that somebody has', () => {
  const model = new TranscriptModel();
  model.page([page('p1', { type: 'text', text: 'a' })]);
  const held = model.rows;
  model.live([{ seq: 1, item: 'part', id: 'p2', message: 'm1', part: { type: 'text' } }]);
  expect(model.rows).toBe(held);
  model.live([{ seq: 2, item: 'text', part: 'p2', field: '/text', offset: 0, text: 'b' }]);
  expect(held).toHaveLength(1);
  expect(model.rows.map(({ id }) => id)).toEqual(['p1', 'p2']);
  const again = model.rows;
  model.live([{ seq: 3, item: 'text', part: 'p2', field: '/text', offset: 1, text: 'c' }]);
  expect(model.rows).toBe(again);
  expect(again[1]?.entry.part['text']).toBe('bc');
});

it('says behind its parts what a message failed of, live and in a page alike', () => {
  const live = new TranscriptModel();
  live.live([
    { seq: 1, item: 'part', id: 'p1', message: 'm1', part: { type: 'step-start' } },
    {
      seq: 2,
      item: 'message',
      id: 'm1',
      info: { role: 'assistant', error: { data: { message: 'no more credit' } } },
    },
    { seq: 3, item: 'part', id: 'p2', message: 'm1', part: { type: 'text', text: 'half' } },
  ]);
  const stored = new TranscriptModel();
  const message = { error: 'no more credit' };
  stored.page([
    { ...page('p1', { type: 'step-start' }), message },
    { ...page('p2', { type: 'text', text: 'half' }), message },
  ]);
  for (const model of [live, stored]) {
    expect(entries(model).map(({ part }) => [part['type'], part['text']])).toEqual([
      ['text', 'half'],
      ['error', 'no more credit'],
    ]);
  }
});
