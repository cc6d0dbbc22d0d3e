import type { Part } from '@opencode-ai/sdk/v2';

/** The kinds of parts that OpenCode makes, and Paddock's own: what was left out, and what went wrong. */
export type Kind = Part['type'] | 'gap' | 'error';

/** Each kind, and whether it says anything to people. One that a newer OpenCode adds is missing here, and does not compile. */
const SHOWN: Record<Kind, boolean> = {
  text: true,
  reasoning: true,
  tool: true,
  file: true,
  subtask: true,
  agent: true,
  retry: true,
  compaction: true,
  gap: true,
  error: true,
  'step-start': false,
  'step-finish': false,
  snapshot: false,
  patch: false,
};

/** What kind of part it is; nothing for one that is not known, since agents may say what they like. */
export function kindOf(part: Record<string, unknown>): Kind | undefined {
  const kind = part['type'];
  return typeof kind === 'string' && Object.hasOwn(SHOWN, kind) ? (kind as Kind) : undefined;
}

/** Whether a part is shown at all. */
export function isShown({ part }: { part: Record<string, unknown> }): boolean {
  const kind = kindOf(part);
  if (kind !== undefined && !SHOWN[kind]) return false;
  if (kind === 'text' || kind === 'reasoning') return String(part['text'] ?? '').trim() !== '';
  return part['synthetic'] !== true;
}
