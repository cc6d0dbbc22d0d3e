import {
  Archive,
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleSlash,
  CircleX,
  GitMerge,
  GitPullRequest,
  GitPullRequestClosed,
  GitPullRequestDraft,
  Hand,
  type LucideIcon,
  UploadCloud,
} from 'lucide-react';
import type { components } from '@/api/generated';
import type { RunState, SessionGroup } from '@/api/types';
import type { Tone } from '@/ui/badge';

interface Look {
  label: string;
  tone: Tone;
  icon?: LucideIcon;
  live?: boolean;
}

/** The states of a run, as people say them. */
export const STATES: Record<RunState, Look> = {
  queued: { label: 'Queued', tone: 'neutral', icon: CircleDashed },
  provisioning: { label: 'Starting', tone: 'info', live: true },
  restoring: { label: 'Restoring', tone: 'info', live: true },
  running: { label: 'Working', tone: 'info', live: true },
  awaiting_input: { label: 'Needs you', tone: 'attention', icon: Hand },
  idle: { label: 'Idle', tone: 'neutral', icon: CirclePause },
  publishing: { label: 'Publishing', tone: 'info', icon: UploadCloud },
  snapshotting: { label: 'Saving', tone: 'info', icon: Archive },
  succeeded: { label: 'Succeeded', tone: 'good', icon: CircleCheck },
  failed: { label: 'Failed', tone: 'bad', icon: CircleX },
  cancelled: { label: 'Cancelled', tone: 'neutral', icon: CircleSlash },
};

export const NO_RUN: Look = { label: 'Not started', tone: 'neutral', icon: CircleDashed };

export const GROUPS: Record<SessionGroup, { label: string; empty: string }> = {
  needs_you: { label: 'Needs you', empty: 'Nobody waits for you.' },
  working: { label: 'Working', empty: 'No agent is at work.' },
  waiting: { label: 'Waiting', empty: 'Nothing waits.' },
  done: { label: 'Done', empty: 'Nothing is done yet.' },
};

export const GROUP_ORDER: readonly SessionGroup[] = ['needs_you', 'working', 'waiting', 'done'];

export const PULLS: Record<components['schemas']['PullRequestState'], Look> = {
  open: { label: 'open', tone: 'good', icon: GitPullRequest },
  draft: { label: 'draft', tone: 'neutral', icon: GitPullRequestDraft },
  merged: { label: 'merged', tone: 'merged', icon: GitMerge },
  closed: { label: 'closed', tone: 'bad', icon: GitPullRequestClosed },
};
