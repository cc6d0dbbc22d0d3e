import { expect, it } from 'vitest';
import type { Session, SessionGroup } from '@/api/types';
import { arrange } from '@/features/sessions/arrange';

function session(id: string, group: SessionGroup, title: string, cost = 0): Session {
  const usage = { cost_micro_usd: cost };
  const issue = id === '2' ? 42 : null;
  return { id, group, title, repo: 'Octo/Greeter', branch: 'b', issue, usage } as Session;
}

const all = [
  session('1', 'done', 'Zebra', 5),
  session('2', 'needs_you', 'Apple', 1),
  session('3', 'done', 'Mango', 5),
  session('4', 'done', 'apple pie', 9),
];

function ids(search: string, sort: Parameters<typeof arrange>[2]): string[] {
  return arrange(all, search, sort).flatMap(({ sessions }) => sessions.map(({ id }) => id));
}

it('puts what needs somebody first, and each group in the order that is asked for', () => {
  expect(arrange(all, '', 'recent')[0]).toEqual({ id: 'needs_you', sessions: [all[1]] });
  expect(ids('', 'recent')).toEqual(['2', '4', '3', '1']);
  expect(ids('', 'oldest')).toEqual(['2', '1', '3', '4']);
  expect(ids('', 'title')).toEqual(['2', '4', '3', '1']);
  // Where two cost the same the newer comes first.
  expect(ids('', 'cost')).toEqual(['2', '4', '3', '1']);
});

it('finds by every word, in title, repository and number, whatever their case', () => {
  expect(ids('GREETER apple', 'recent')).toEqual(['2', '4']);
  expect(ids('#42', 'recent')).toEqual(['2']);
  expect(ids('apple mango', 'recent')).toEqual([]);
  expect(arrange([], '', 'recent').every(({ sessions }) => sessions.length === 0)).toBe(true);
});
