import { expect, it } from 'vitest';
import { repositoryIn } from '@/features/new-run/repository';

it('finds the repository in whatever was pasted', () => {
  for (const text of [
    'acme/greeter',
    ' acme/greeter ',
    'https://github.com/acme/greeter',
    'https://github.com/acme/greeter.git',
    'git@github.com:acme/greeter.git',
  ]) {
    expect(repositoryIn(text)).toEqual({ repo: 'acme/greeter' });
  }
  expect(repositoryIn('https://github.com/acme/greeter/issues/12')).toEqual({
    repo: 'acme/greeter',
    issue: '12',
  });
  for (const text of ['', 'acme', 'acme/', 'a b/c', '../etc', 'acme/greeter/pulls']) {
    expect(repositoryIn(text)).toBeUndefined();
  }
});
