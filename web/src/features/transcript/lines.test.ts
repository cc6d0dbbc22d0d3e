import { expect, it } from 'vitest';
import { lines } from '@/features/transcript/lines';

const all = (text: string, width = 4) => {
  const found = lines(text, width);
  return Array.from({ length: found.count }, (_, index) => found.line(index));
};

it('gives every line, and breaks those that are too long', () => {
  expect(all('a\nbb\r\n\nlonger line\nend')).toEqual(['a', 'bb', '', 'long', 'er l', 'ine', 'end']);
  expect(all('four\nfours')).toEqual(['four', 'four', 's']);
  expect(all('')).toEqual(['']);
  expect(all('a\n')).toEqual(['a', '']);
});

it('loses nothing of a line of five megabytes', () => {
  const text = 'x'.repeat(5_000_000);
  const found = lines(text, 160);
  expect(found.count).toBe(31_250);
  expect(found.line(31_249)).toHaveLength(160);
  expect(found.line(31_250)).toBe('');
});
