import { expect, it } from 'vitest';
import { readNumbers } from '@/features/installation/numbers';

it('reads whole numbers, lets what may be empty be empty, and names what is neither', () => {
  const { numbers, errors } = readNumbers<string>({ a: ' 7 ', b: '', c: '1.5', d: '', e: '-1' }, [
    'b',
  ]);
  expect(numbers).toEqual({ a: 7, b: null });
  expect([...errors.keys()]).toEqual(['c', 'd', 'e']);
});
