import { expect, it } from 'vitest';
import { SseParser } from '@/api/live/sse';

it('puts events together however the stream is cut', () => {
  const stream = ': hi\n\nevent: run\nid: 4\ndata: {"a":\ndata: 1}\n\ndata: x\r\n\r\n';
  const whole = new SseParser().push(stream);
  expect(whole).toEqual([
    { event: 'run', data: '{"a":\n1}' },
    { event: 'message', data: 'x' },
  ]);
  const parser = new SseParser();
  expect([...stream].flatMap((character) => parser.push(character))).toEqual(whole);
});
