import type { Binding } from '@/api/types';

export const ROLES = [
  { id: 'viewer', label: 'Viewer', detail: 'Looks on: runs, transcripts, changes' },
  { id: 'maintainer', label: 'Maintainer', detail: 'Starts and drives runs, answers, shares' },
  { id: 'admin', label: 'Admin', detail: 'Decides over everything there' },
] as const;

export function roleLabel(role: string): string {
  return ROLES.find((known) => known.id === role)?.label ?? role;
}

/** Who it is, for people. */
export function subjectLabel(binding: Pick<Binding, 'subject' | 'name'>): string {
  if (binding.name) return binding.name;
  const [kind = '', ...rest] = binding.subject.split(':');
  const name = rest.join(':');
  if (kind === 'group') return `Group ${name}`;
  if (kind === 'kubernetes') return `${name} on the cluster`;
  return binding.subject;
}

/** What would be true once a role is given, said before it is. */
export function wouldChange(subject: string, role: string, what: string): string {
  const who = subject.startsWith('group:')
    ? `Everybody in ${subject.slice(6) || 'the group'}`
    : subject || 'They';
  if (what === 'this credential') {
    if (role === 'viewer') return `${who} will see how ${what} stands and where it was used.`;
    const more = role === 'admin' ? ', give it another value, revoke it, and say who else may' : '';
    return `${who} will let their runs carry ${what}${more}. Nobody sees its value.`;
  }
  switch (role) {
    case 'admin':
      return `${who} will decide over ${what}: everything, and who else may.`;
    case 'maintainer':
      return `${who} will see ${what}, start and drive its runs with your repository’s credential, and share it.`;
    default:
      return `${who} will see ${what}, its transcripts and its changes, and change nothing.`;
  }
}
