import {
  type Checkpoint,
  extendsTree,
  fromHex,
  type Handover,
  handedOver,
  parseCheckpoint,
  signedBy,
} from './proof';

/** What this browser saw last of the log, and the key that signed it. */
export interface Seen {
  note: string;
  key: string;
}

export interface Key {
  key: string;
  handover?: Handover | null;
}

/** What the server is asked for. */
export interface Log {
  checkpoint(): Promise<string>;
  keys(): Promise<Key[]>;
  consistency(from: number, to: number): Promise<string[]>;
}

export type Breach = 'rolled-back' | 'forked' | 'key' | 'other-log';

export interface Held {
  checkpoint: Checkpoint;
  note: string;
  key: string;
  /** Whether this browser could verify the signature. */
  verified: boolean;
  /** The size of what was seen before; none at first. */
  before?: number;
  /** Why it is not the log that was seen before. */
  breach?: Breach;
}

/** Holds the log to what was seen of it before. What is to be remembered is for the caller to keep, where it holds. */
export async function hold(log: Log, seen: Seen | undefined): Promise<Held> {
  const note = await log.checkpoint();
  const checkpoint = parseCheckpoint(note);
  const keys = await log.keys();
  const trusted = seen ? await believed(seen.key, keys) : keys.map(({ key }) => key);
  let verified = true;
  let key: string | undefined;
  for (const candidate of trusted.toReversed()) {
    const signed = await signedBy(checkpoint, candidate);
    if (signed === false) continue;
    verified = signed === true;
    key = candidate;
    break;
  }
  const held = { checkpoint, note, key: key ?? '', verified };
  if (!seen) return key === undefined ? { ...held, breach: 'key' } : held;
  const old = parseCheckpoint(seen.note);
  const before = { ...held, before: old.size };
  if (old.origin !== checkpoint.origin) return { ...before, breach: 'other-log' };
  if (key === undefined) return { ...before, breach: 'key' };
  if (checkpoint.size < old.size) return { ...before, breach: 'rolled-back' };
  const hashes =
    checkpoint.size > old.size
      ? (await log.consistency(old.size, checkpoint.size)).map(fromHex)
      : [];
  const goesOn = await extendsTree(old.size, old.root, checkpoint.size, checkpoint.root, hashes);
  return goesOn ? before : { ...before, breach: 'forked' };
}

async function believed(known: string, keys: Key[]): Promise<string[]> {
  const trusted = [known];
  for (const { key, handover } of keys) {
    if (!handover || trusted.includes(key)) continue;
    for (const from of trusted) {
      if ((await handedOver(from, handover).catch(() => undefined)) === key) {
        trusted.push(key);
        break;
      }
    }
  }
  return trusted;
}

export const BREACHES: Record<Breach, string> = {
  'rolled-back': 'It has fewer positions than it signed before: it was rolled back.',
  forked:
    'Its past is not the one that it signed before: it forked, or its database was rewritten.',
  key: 'It is signed by a key that nobody handed over to.',
  'other-log': 'It calls itself by another name than before.',
};
