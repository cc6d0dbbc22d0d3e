import { expect, test } from 'vitest';
import { subjectLabel, wouldChange } from '@/features/access/words';

test('a subject is said as people know it, whatever is in its name', () => {
  expect(subjectLabel({ subject: 'group:a:b', name: null })).toBe('Group a:b');
  expect(subjectLabel({ subject: 'user:1', name: 'Ada' })).toBe('Ada');
  expect(subjectLabel({ subject: 'kubernetes:system:serviceaccount:ci:bot', name: null })).toBe(
    'system:serviceaccount:ci:bot on the cluster',
  );
});

test('what would change is said for every role', () => {
  expect(wouldChange('group:staff', 'viewer', 'this session')).toContain('Everybody in staff');
  expect(wouldChange('user:1', 'viewer', 'this session')).toContain('change nothing');
  expect(wouldChange('user:1', 'maintainer', 'this session')).toContain('drive its runs');
});
