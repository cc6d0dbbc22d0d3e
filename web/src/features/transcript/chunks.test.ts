import { lexer } from 'marked';
import { expect, it } from 'vitest';
import { chunks } from '@/features/transcript/chunks';

const paragraph = 'word '.repeat(100);

it('cuts between paragraphs, never inside a block of code, and loses nothing', () => {
  const code = `\`\`\`js\n${'let x = 1;\n\n'.repeat(500)}\`\`\`\n`;
  const text = [`${paragraph}\n\n`.repeat(6), code, `\n${paragraph}`].join('');
  const found = chunks(text);
  expect(found.map((each) => each.text).join('')).toBe(text);
  expect(found.length).toBeGreaterThan(2);
  expect(found.filter((each) => each.text.includes('let x')).length).toBe(1);
  expect(found.every((each) => !each.plain)).toBe(true);
});

it('changes only the last chunks of a text that grows', () => {
  const text = `${paragraph}\n\n`.repeat(20);
  const before = chunks(text).slice(0, -2);
  expect(before.length).toBeGreaterThan(4);
  expect(chunks(`${text}${paragraph}\n\nmore`).slice(0, before.length)).toEqual(before);
});

it('does not read what is made to be slow', () => {
  const n = 30_000;
  for (const text of [
    '['.repeat(n),
    '> '.repeat(n),
    '>'.repeat(n),
    '- '.repeat(n),
    `${'*'.repeat(n)}a${'*'.repeat(n)}`,
    `${'*a _b '.repeat(n)}${' b_ a*'.repeat(n)}`,
    '_a'.repeat(n),
    '[a](b'.repeat(n),
    'a'.repeat(n),
  ]) {
    expect(chunks(text).every((each) => each.plain)).toBe(true);
  }
});

it('reads each chunk that it lets through, however it is nested', () => {
  for (const text of ['> '.repeat(19), '- '.repeat(19), '*a _b '.repeat(150), '['.repeat(500)]) {
    const [found, ...rest] = chunks(`${text}x`);
    expect(rest).toEqual([]);
    expect(found?.plain).toBe(false);
    expect(() => lexer(found?.text ?? '')).not.toThrow();
  }
});
