import { cleanup, render, screen, within } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import type { SystemPart } from '@/api/types';
import { Steps } from '@/features/first-run/steps';

afterEach(cleanup);

const part = (name: SystemPart['name'], ok: boolean, detail: string): SystemPart => ({
  name,
  ok,
  detail,
  since: '2026-01-01T00:00:00Z',
  still_works: ok ? null : 'what is stored',
  action: ok ? null : `Look after the ${name}.`,
  lag: null,
});

it('says of the model and of GitHub how they stand, what sets them, and what to do', () => {
  render(
    <Steps
      parts={[part('forge', true, 'it answers'), part('model', false, 'cannot be reached')]}
    />,
  );
  const [model, forge] = screen.getAllByRole('listitem');
  if (!model || !forge) throw new Error('there are two');
  expect(within(model).getByRole('heading').textContent).toBe('A model: cannot be reached');
  expect(within(model).getByText('PADDOCK_MODEL_KEY_FILE')).toBeTruthy();
  expect(within(model).getByText('Look after the model.')).toBeTruthy();
  expect(within(forge).getByRole('heading').textContent).toBe('GitHub: it answers');
  expect(within(forge).getByText('PADDOCK_GITHUB_TOKEN_FILE')).toBeTruthy();
  expect(within(forge).queryByText(/Look after/)).toBeNull();
});
