import type { Session, SessionGroup } from '@/api/types';
import { GROUP_ORDER } from '@/features/sessions/words';

export const SORTS = ['recent', 'oldest', 'cost', 'title'] as const;
export type Sort = (typeof SORTS)[number];

export interface Group {
  id: SessionGroup;
  sessions: Session[];
}

/** The sessions that fit the search, by group, each sorted. */
export function arrange(all: Iterable<Session>, search: string, sort: Sort): Group[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<SessionGroup, Session[]>(GROUP_ORDER.map((id) => [id, []]));
  for (const session of all) {
    if (words.every((word) => text(session).includes(word)))
      groups.get(session.group)?.push(session);
  }
  return GROUP_ORDER.map((id) => ({ id, sessions: (groups.get(id) ?? []).sort(ORDER[sort]) }));
}

function text(session: Session): string {
  const { title, repo, branch, issue, pull_request: pull } = session;
  const numbers = `${issue ? `#${issue}` : ''} ${pull ? `#${pull.number}` : ''}`;
  return `${title ?? ''} ${repo} ${branch} ${numbers}`.toLowerCase();
}

// Ids are in the order of time: where two are alike in what is asked for, the newer comes first, and no row
// changes its place for a tick of a clock.
const newer = (a: Session, b: Session) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

const ORDER: Record<Sort, (a: Session, b: Session) => number> = {
  recent: newer,
  oldest: (a, b) => newer(b, a),
  cost: (a, b) => b.usage.cost_micro_usd - a.usage.cost_micro_usd || newer(a, b),
  title: (a, b) => (a.title ?? '').localeCompare(b.title ?? '') || newer(a, b),
};
