import { expect, it } from 'vitest';
import type { Profile } from '@/api/types';
import { changeOf, fieldsOf } from '@/features/installation/profile-fields';

const PROFILE: Profile = {
  name: 'large',
  description: 'Large builds',
  image: null,
  runtime_class: 'gvisor',
  egress: 'github',
  deadline_seconds: 7200,
  linger_seconds: 0,
  attended_linger_seconds: 600,
  input_timeout_seconds: 3600,
  link_timeout_seconds: 1800,
  memory_mib: 4096,
  cpu_millis: 2000,
  disk_mib: 8192,
  max_retries: 2,
  unenforced: false,
  env: { NODE_ENV: 'test' },
  permission: { '*': 'allow' },
  source: { kind: 'default', actor: null, time: null, version: null },
  configured: false,
};

it('sends a profile back as it came where nothing was typed', () => {
  const { body, errors } = changeOf(fieldsOf(PROFILE));
  const { name, source, configured, ...rest } = PROFILE;
  expect(errors.size).toBe(0);
  expect(body).toEqual(rest);
});

it('names what cannot be sent, all of it at once', () => {
  const fields = fieldsOf(PROFILE, ' ');
  const { body, errors } = changeOf({
    ...fields,
    numbers: { ...fields.numbers, memory_mib: '4 GB' },
    env: [
      { id: 0, name: 'A', value: '1' },
      { id: 1, name: 'A', value: '2' },
      { id: 2, name: '', value: '' },
    ],
    permission: '{',
  });
  expect(body).toBeUndefined();
  expect([...errors.keys()].sort()).toEqual(['env.A', 'memory_mib', 'name', 'permission']);
});
