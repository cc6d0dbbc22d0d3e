import type { Profile, ProfileChange } from '@/api/types';
import { readNumbers } from '@/features/installation/numbers';

export const NUMBERS = [
  'memory_mib',
  'cpu_millis',
  'disk_mib',
  'deadline_seconds',
  'linger_seconds',
  'attended_linger_seconds',
  'input_timeout_seconds',
  'link_timeout_seconds',
  'max_retries',
] as const;

type NumberName = (typeof NUMBERS)[number];

/** A variable as it is typed; `id` is its place in the form. */
export interface Variable {
  id: number;
  name: string;
  value: string;
}

/** A profile as it is typed. */
export interface ProfileFields {
  name: string;
  description: string;
  image: string;
  runtime_class: string;
  egress: string;
  unenforced: boolean;
  numbers: Record<NumberName, string>;
  env: Variable[];
  permission: string;
}

export function fieldsOf(profile: Profile, name = profile.name): ProfileFields {
  const numbers = {} as Record<NumberName, string>;
  for (const number of NUMBERS) numbers[number] = String(profile[number]);
  return {
    name,
    description: profile.description,
    image: profile.image ?? '',
    runtime_class: profile.runtime_class ?? '',
    egress: profile.egress,
    unenforced: profile.unenforced,
    numbers,
    env: Object.entries(profile.env).map(([variable, value], id) => ({
      id,
      name: variable,
      value,
    })),
    permission: JSON.stringify(profile.permission, null, 2),
  };
}

/** What is sent, or what is wrong before anything is. Whether it is right otherwise says the server. */
export function changeOf(fields: ProfileFields): {
  body: ProfileChange | undefined;
  errors: Map<string, string>;
} {
  const { numbers, errors } = readNumbers(fields.numbers);
  if (fields.name.trim() === '') errors.set('name', 'must not be empty');
  const env: Record<string, string> = {};
  for (const { name, value } of fields.env) {
    if (name === '' && value === '') continue;
    if (name in env) errors.set(`env.${name}`, 'is there twice');
    env[name] = value;
  }
  let permission: unknown;
  try {
    permission = JSON.parse(fields.permission);
  } catch {
    errors.set('permission', 'is not JSON');
  }
  if (errors.size > 0) return { body: undefined, errors };
  const text = (of: string) => (of.trim() === '' ? null : of.trim());
  const body = {
    ...(numbers as Record<NumberName, number>),
    description: fields.description,
    image: text(fields.image),
    runtime_class: text(fields.runtime_class),
    egress: fields.egress,
    unenforced: fields.unenforced,
    env,
    permission,
  };
  return { body, errors };
}
