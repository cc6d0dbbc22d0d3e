import type { Run, SessionPull } from '@/api/types';
import { PullBadge } from '@/features/sessions/state-badge';

/** The pull request, as it stands if that is known. */
export function RunPull({
  pull,
  opened,
}: {
  pull: SessionPull | null;
  opened: NonNullable<Run['pull_request']> | null;
}) {
  if (pull) return <PullBadge pull={pull} />;
  return opened && <PullBadge pull={{ ...opened, state: 'open', checked_at: null }} />;
}
