import type { RunState, TimelineItem } from '@/api/types';

/** What of a run's time line belongs together: how it stood, from when until when, and what happened then. */
export interface Phase {
  state: RunState;
  from: number;
  /** Open as long as it lasts. */
  to: number | undefined;
  events: TimelineItem[];
}

/** What begins with an event, for the eye. What a run may do, and how it stands now, the server says. */
const BEGINS: Record<string, RunState> = {
  'run.requested': 'queued',
  'run.queued': 'queued',
  'run.admitted': 'provisioning',
  'run.lost': 'provisioning',
  'run.retried': 'provisioning',
  'run.workload.created': 'restoring',
  'run.ready': 'running',
  'run.turn.started': 'running',
  'run.interrupted': 'running',
  'run.input.required': 'awaiting_input',
  'run.input.given': 'running',
  'run.idle': 'idle',
  'run.finish.requested': 'publishing',
  'run.publish.requested': 'publishing',
  'run.publish.skipped': 'snapshotting',
  'run.turn.failed': 'snapshotting',
  'run.cancel.requested': 'snapshotting',
  'run.succeeded': 'succeeded',
  'run.failed': 'failed',
  'run.cancelled': 'cancelled',
};

const ENDED: readonly RunState[] = ['succeeded', 'failed', 'cancelled'];

/** The phases of a run, in order. What took no time at all goes with what follows. */
export function phases(events: readonly TimelineItem[]): Phase[] {
  const found: Phase[] = [];
  let asked = 0;
  let now: RunState = 'queued';
  for (const event of events) {
    let next: RunState = BEGINS[event.type] ?? now;
    const ended = ENDED.includes(now);
    if (event.type === 'run.input.required') asked += 1;
    if (event.type === 'run.input.given') {
      asked = Math.max(0, asked - 1);
      if (asked > 0 || now !== 'awaiting_input') next = now;
    } else if (next !== 'awaiting_input') asked = 0;
    if (event.type === 'run.prompt.submitted' && now === 'idle') next = 'running';
    if (event.type === 'run.workload.created' && now !== 'provisioning') next = now;
    if (event.type === 'run.pull_request.opened' && now === 'publishing') next = 'snapshotting';
    if (ended && event.type !== 'run.publish.requested') next = now;
    const at = Date.parse(event.time);
    const last = found.at(-1);
    if (last && next === last.state) {
      last.events.push(event);
      continue;
    }
    now = next;
    if (last && at - last.from <= 0) {
      last.state = next;
      last.events.push(event);
      continue;
    }
    if (last) last.to = at;
    found.push({ state: next, from: at, to: undefined, events: [event] });
  }
  const last = found.at(-1);
  if (last && ENDED.includes(last.state)) last.to = last.from;
  return found;
}
