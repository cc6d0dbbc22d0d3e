import type { RunState, SessionPull } from '@/api/types';
import { NO_RUN, PULLS, STATES } from '@/features/sessions/words';
import { webAddress } from '@/lib/safe';
import { Badge } from '@/ui/badge';

export function StateBadge({ state }: { state: RunState | null | undefined }) {
  const { label, tone, icon, live } = state ? STATES[state] : NO_RUN;
  return (
    <Badge tone={tone} live={live ?? false} {...(icon ? { icon } : {})}>
      {label}
    </Badge>
  );
}

/** The pull request and how it is; a link, where its address is one. */
export function PullBadge({ pull }: { pull: SessionPull }) {
  const { label, tone, icon } = PULLS[pull.state];
  const href = webAddress(pull.url);
  const badge = (
    <Badge tone={tone} {...(icon ? { icon } : {})}>
      #{pull.number} {label}
    </Badge>
  );
  return href ? (
    <a
      href={href}
      target="_blank"
      rel="noopener noreferrer"
      className="rounded-full hover:underline"
    >
      {badge}
    </a>
  ) : (
    badge
  );
}
