import { expect, it } from 'vitest';
import { plain, spans } from '@/features/transcript/ansi';

it('keeps colours and drops everything else a terminal would act on', () => {
  expect(
    spans('\u001b[1;31mfail\u001b[0m ok \u001b[38;5;208mhot\u001b[39m\u001b[38;2;1;2;3mrgb'),
  ).toEqual([
    { text: 'fail', bold: true, color: 1 },
    { text: ' ok ' },
    { text: 'hot', color: '#ff8700' },
    { text: 'rgb', color: '#010203' },
  ]);
  const hostile =
    'a\u001b]0;title\u0007b\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\c\u001b[2J\u001b[10;10Hd\u001bP1$r\u001b\\e\u001b]52;c;ZXZpbA==\u0007f\u0007\u0008';
  expect(plain(hostile)).toBe('ablinkcdef');
  expect(plain('cut \u001b]0;never ends')).toBe('cut ');
  expect(plain('cut \u001b[38;5')).toBe('cut ');
});

it('shows what a line came to that was written over', () => {
  expect(plain('10%\r50%\r100%\nnext\r\n')).toBe('100%\nnext\n');
});

it('shows directions as what they are', () => {
  expect(plain('a\u202eb')).toBe('a⟨U+202E⟩b');
});

it('takes a long line without choking', () => {
  const long = `${'\u001b[31mx\u001b[0m'.repeat(100_000)}`;
  expect(spans(long)).toHaveLength(100_000);
});
