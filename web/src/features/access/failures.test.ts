import { expect, it } from 'vitest';
import { explained, FAILURE_CODES, returnTo } from '@/features/access/failures';

it('explains every failure in words of its own, and says what to do', () => {
  const titles = FAILURE_CODES.map((code) => explained(code).title);
  expect(new Set(titles).size).toBe(8);
  for (const code of FAILURE_CODES) expect(explained(code).remedy).not.toBe('');
});

it('shows nothing of a code that is not one', () => {
  expect(explained('<img src=x>').why).toBe('The server says: imgsrcx');
  expect(explained('constructor').title).toBe('You were not signed in');
});

it('leads back to where somebody was, or to where they wanted to go', () => {
  expect(returnTo({ pathname: '/runs/1', search: '?tab=changes' })).toBe('/runs/1?tab=changes');
  expect(returnTo({ pathname: '/sign-in', search: '?failed=x&return_to=%2Fsystem' })).toBe(
    '/system',
  );
  expect(returnTo({ pathname: '/sign-in', search: '' })).toBe('/');
});
