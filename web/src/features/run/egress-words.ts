import type { Run } from '@/api/types';

/** What a run may reach, in words. */
export const EGRESS: Record<Run['egress'], { label: string; detail: string }> = {
  github: {
    label: 'GitHub only',
    detail: 'The run reaches its repository and the model, and nothing else.',
  },
  full: {
    label: 'Any public host',
    detail:
      'The agent can send what it reads to any public host. Private addresses stay shut, and GitHub stays behind the gateway.',
  },
};
