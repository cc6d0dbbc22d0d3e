import { expect, it } from 'vitest';
import { plain, spans } from '@/features/transcript/ansi';

it('keeps colours and drops everything else a terminal would act on', () => {
  expect(
    spans('\u001b[1;31mfail\u001b[0m ok \u001b[38;5;208mhot\u001b[39m\u001b[38;2;20;20;250mrgb'),
  ).toEqual([
    { text: 'fail', bold: true, color: 1 },
    { text: ' ok ' },
    { text: 'hot', color: 3 },
    { text: 'rgb', color: 4 },
  ]);
  const hostile =
    'a\u001b]0;title\u0007b\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\c\u001b[2J\u001b[10;10Hd\u001bP1$r\u001b\\e\u001b]52;c;ZXZpbA==\u0007f\u0007\u0008';
  expect(plain(hostile)).toBe('ablinkcdef');
  expect(plain('cut \u001b]0;never ends\nbut hides no more')).toBe('cut \nbut hides no more');
  expect(plain('cut \u001b[38;5')).toBe('cut ');
});

it('shows what a line came to that was written over', () => {
  expect(plain('10%\r50%\r100%\nnext\r\n')).toBe('100%\nnext\n');
  expect(spans('\u001b[33m10%\u001b[K\r\u001b[32m100%\u001b[0m done\n')).toEqual([
    { text: '100%', color: 2 },
    { text: ' done\n' },
  ]);
  expect(plain('kept\nover\r\r')).toBe('kept\nover');
});

it('shows directions as what they are', () => {
  expect(plain('a\u202eb')).toBe('a⟨U+202E⟩b');
});

it('gives a text of too many looks no more than some', () => {
  const colours = Array.from({ length: 100_000 }, (_, index) => `\u001b[3${index % 2}mx`).join('');
  const found = spans(colours);
  expect(found.length).toBeLessThanOrEqual(4_000);
  expect(found.map(({ text }) => text).join('')).toHaveLength(100_000);
});

it('joins what looks the same', () => {
  expect(spans('\u001b[31ma\u001b[31mb\nc\u001b[0m')).toEqual([{ text: 'ab\nc', color: 1 }]);
});
