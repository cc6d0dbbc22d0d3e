import type { Entry, Row } from '@/features/transcript/model';
import { toolCall } from '@/features/transcript/tool';

/** The height of a folded line, and of one line of a text. */
const FOLDED = 38;
const LINE = 22;
/** As many characters as a line of a text has, about. */
const WIDTH = 105;

/** How high a part will be, about: the nearer, the less there is to be put right while somebody scrolls. */
export function estimate(row: Row | undefined): number {
  if (!row) return FOLDED;
  row.height ??= height(row.entry);
  return row.height;
}

function height(entry: Entry): number {
  const type = entry.part['type'];
  if (type === 'reasoning') return FOLDED + 2;
  if (type === 'tool') {
    const { diff, todos } = toolCall(entry);
    if (todos.length > 0) return FOLDED + 12 + 24 * todos.length;
    return diff && diff.length < 2_000 ? FOLDED + 14 + 20 * (diff.split('\n').length - 4) : FOLDED;
  }
  const text = entry.part['text'];
  if (type !== 'text' || typeof text !== 'string') return 44;
  let lines = 0;
  for (const line of text.slice(0, 10_000).split('\n')) lines += Math.ceil(line.length / WIDTH);
  return 50 + LINE * Math.max(1, lines);
}
