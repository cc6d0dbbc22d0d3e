import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import { WholeText } from '@/features/transcript/whole-part';

afterEach(cleanup);

it('draws some lines of a text of five megabytes, and says how many there are', () => {
  render(<WholeText text={'x'.repeat(5_000_000)} />);
  const text = screen.getByLabelText('The whole text');
  expect(text.querySelectorAll('*').length).toBeLessThan(200);
  expect(screen.getByText(/31,250 lines/)).toBeTruthy();
});

it('draws no more for five million empty lines', () => {
  render(<WholeText text={'\n'.repeat(5_000_000)} />);
  expect(screen.getByLabelText('The whole text').querySelectorAll('*').length).toBeLessThan(200);
  expect(screen.getByText(/only the first 900,000/)).toBeTruthy();
});
