import { expect, it } from 'vitest';
import type { TimelineItem } from '@/api/types';
import { phases } from '@/features/run/phases';

/** "3 ready": after three seconds. */
function events(...all: string[]): TimelineItem[] {
  return all.map((each, index) => {
    const [seconds = '', type = ''] = each.split(' ');
    const time = new Date(Number(seconds) * 1_000).toISOString();
    const summary = '';
    return {
      version: index + 1,
      position: index,
      time,
      actor: 'system:x',
      type: `run.${type}`,
      summary,
    };
  });
}

const seen = (all: TimelineItem[]) =>
  phases(all).map(({ state, from, to }) => [state, to === undefined ? null : (to - from) / 1_000]);

it('tells how long each phase of a run took', () => {
  const all = events(
    '0 requested',
    '0 prompt.submitted',
    '2 admitted',
    '3 workload.created',
    '4 restored',
    '13 ready',
    '20 input.required',
    '50 input.given',
    '60 usage.reported',
    '61 idle',
    '61 finish.requested',
    '62 branch.pushed',
    '63 pull_request.opened',
    '64 snapshot.stored',
    '65 succeeded',
    '66 workload.removed',
  );
  expect(seen(all)).toEqual([
    ['queued', 2],
    ['provisioning', 1],
    ['restoring', 10],
    ['running', 7],
    ['awaiting_input', 30],
    ['running', 11],
    ['publishing', 2],
    ['snapshotting', 2],
    ['succeeded', 0],
  ]);
  expect(phases(all).flatMap((phase) => phase.events)).toEqual(all);
});

it('waits until the last of several questions is answered, and leaves the last phase open', () => {
  expect(
    seen(
      events('0 ready', '1 input.required', '2 input.required', '3 input.given', '5 input.given'),
    ),
  ).toEqual([
    ['running', 1],
    ['awaiting_input', 4],
    ['running', null],
  ]);
});

it('goes on after the end when somebody has it published again', () => {
  expect(
    seen(
      events(
        '0 requested',
        '1 turn.failed',
        '2 failed',
        '2 workload.removed',
        '9 publish.requested',
      ),
    ),
  ).toEqual([
    ['queued', 1],
    ['snapshotting', 1],
    ['failed', 7],
    ['publishing', null],
  ]);
});
