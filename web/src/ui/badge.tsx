import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from '@/ui/cx';

export type Tone = 'neutral' | 'accent' | 'attention' | 'good' | 'bad' | 'info' | 'merged';

const TONES: Record<Tone, string> = {
  neutral: 'bg-sunken text-soft',
  accent: 'bg-accent-soft text-accent',
  attention: 'bg-attention-soft text-attention',
  good: 'bg-good-soft text-good',
  bad: 'bg-bad-soft text-bad',
  info: 'bg-info-soft text-info',
  merged: 'bg-merged-soft text-merged',
};

interface BadgeProps {
  tone?: Tone;
  icon?: LucideIcon;
  /** Something is going on: the sign moves. */
  live?: boolean;
  children: ReactNode;
}

export function Badge({ tone = 'neutral', icon: Icon, live = false, children }: BadgeProps) {
  return (
    <span
      className={cx(
        'inline-flex h-5 shrink-0 items-center gap-1 rounded-full px-2 text-xs font-medium whitespace-nowrap',
        TONES[tone],
      )}
    >
      {live && <span aria-hidden className="size-1.5 animate-pulse rounded-full bg-current" />}
      {Icon && <Icon aria-hidden className="size-3" />}
      {children}
    </span>
  );
}
