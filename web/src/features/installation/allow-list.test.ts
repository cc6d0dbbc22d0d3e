import { expect, it } from 'vitest';
import { rules, wrongRules } from '@/features/installation/allow-list';

it('takes rules by lines, spaces and commas, and names the wrong one by what was written', () => {
  const sent = rules(' a.org\n\n.b.org, *.c.org ');
  expect(sent).toEqual(['a.org', '.b.org', '*.c.org']);
  expect(wrongRules(sent, new Map([['hosts[2]', 'has a star']]))).toBe('*.c.org has a star');
  expect(wrongRules(sent, new Map([['hosts', 'may have at most 500 rules']]))).toBe(
    'may have at most 500 rules',
  );
  expect(wrongRules(sent, new Map())).toBeUndefined();
});
