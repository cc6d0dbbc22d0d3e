// What a reviewer's own browser verifies, with nothing but the hashes and signatures of WebCrypto: RFC 6962 proofs,
// C2SP checkpoints, and that a log goes on from what was seen of it before.

/** What is signed of a log. */
export interface Checkpoint {
  origin: string;
  size: number;
  root: Uint8Array;
  epoch: string;
  /** The text that is signed. */
  text: string;
  signatures: { name: string; id: string; bytes: Uint8Array }[];
}

export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error('not hexadecimal digits');
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

async function sha256(...parts: Uint8Array[]): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', joined(...parts)));
}

const node = (left: Uint8Array, right: Uint8Array) => sha256(Uint8Array.of(1), left, right);

export const leafOf = (entry: string) => sha256(Uint8Array.of(0), utf8(entry));

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

const odd = (number: number) => number % 2 === 1;
const half = (number: number) => Math.floor(number / 2);

/** Whether `leaf` is that of `position`, from 1, in the tree of that size and root (RFC 9162, 2.1.3.2). */
export async function includes(
  position: number,
  size: number,
  leaf: Uint8Array,
  hashes: Uint8Array[],
  root: Uint8Array,
): Promise<boolean> {
  if (position < 1 || position > size) return false;
  let index = position - 1;
  let last = size - 1;
  let hash = leaf;
  for (const beside of hashes) {
    if (last === 0) return false;
    if (odd(index) || index === last) {
      hash = await node(beside, hash);
      while (!odd(index) && index !== 0) {
        index = half(index);
        last = half(last);
      }
    } else {
      hash = await node(hash, beside);
    }
    index = half(index);
    last = half(last);
  }
  return last === 0 && same(hash, root);
}

/** Whether the tree of `to` leaves goes on from that of its first `from` (RFC 9162, 2.1.4.2). */
export async function extendsTree(
  from: number,
  oldRoot: Uint8Array,
  to: number,
  newRoot: Uint8Array,
  hashes: Uint8Array[],
): Promise<boolean> {
  if (from < 1 || from > to) return false;
  if (from === to) return hashes.length === 0 && same(oldRoot, newRoot);
  let index = from - 1;
  let last = to - 1;
  while (odd(index)) {
    index = half(index);
    last = half(last);
  }
  // Of a perfect subtree the proof leaves out its root, which is known.
  const path = index === 0 ? [oldRoot, ...hashes] : hashes;
  const [first, ...rest] = path;
  if (!first) return false;
  let before = first;
  let now = first;
  for (const beside of rest) {
    if (last === 0) return false;
    if (odd(index) || index === last) {
      before = await node(beside, before);
      now = await node(beside, now);
      while (!odd(index) && index !== 0) {
        index = half(index);
        last = half(last);
      }
    } else {
      now = await node(now, beside);
    }
    index = half(index);
    last = half(last);
  }
  return last === 0 && same(before, oldRoot) && same(now, newRoot);
}

/** Reads a signed checkpoint. That does not verify its signatures. */
export function parseCheckpoint(note: string): Checkpoint {
  const at = note.lastIndexOf('\n\n');
  if (at < 0 || !note.endsWith('\n')) throw new Error('not a signed note');
  const text = note.slice(0, at + 1);
  const [origin, size, root, epoch, ...more] = text.slice(0, -1).split('\n');
  if (!origin || !size || !root || !epoch?.startsWith('epoch ') || more.length > 0) {
    throw new Error('not a checkpoint');
  }
  if (!/^[1-9][0-9]*$/.test(size)) throw new Error('not the size of a checkpoint');
  const signatures = note
    .slice(at + 2, -1)
    .split('\n')
    .map((line) => {
      const parts = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line);
      if (!parts?.[1] || !parts[2]) throw new Error('not a signature of a note');
      const bytes = fromBase64(parts[2]);
      return { name: parts[1], id: toHex(bytes.slice(0, 4)), bytes: bytes.slice(4) };
    });
  return {
    origin,
    size: Number(size),
    root: fromBase64(root),
    epoch: epoch.slice(6),
    text,
    signatures,
  };
}

/** Whether a key signed it; undefined where this browser cannot verify Ed25519. */
export async function signedBy(checkpoint: Checkpoint, key: string): Promise<boolean | undefined> {
  const [name, id, encoded] = key.split(/\+([0-9a-f]{8})\+/);
  if (!name || !id || !encoded || name !== checkpoint.origin) return false;
  const bytes = fromBase64(encoded);
  const expected = toHex((await sha256(utf8(name), utf8('\n'), bytes)).slice(0, 4));
  if (bytes[0] !== 1 || expected !== id) return false;
  const signature = checkpoint.signatures.find((it) => it.name === name && it.id === id);
  if (!signature) return false;
  try {
    const algorithm = { name: 'Ed25519' };
    const raw = joined(bytes.slice(1));
    const verifier = await crypto.subtle.importKey('raw', raw, algorithm, false, ['verify']);
    return await crypto.subtle.verify(
      algorithm,
      verifier,
      joined(signature.bytes),
      utf8(checkpoint.text),
    );
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotSupportedError') return undefined;
    throw error;
  }
}

/** That one key handed over to another, as the server shows it. */
export interface Handover {
  checkpoint: string;
  position: number;
  entry: string;
  stored: string;
  hashes: string[];
}

/** The key that `from` handed over to: an event of the log, in a tree that both signed. */
export async function handedOver(from: string, handover: Handover): Promise<string | undefined> {
  const entry = JSON.parse(handover.entry) as {
    type?: string;
    stream?: string;
    body_hash?: string;
  };
  const body = JSON.parse(handover.stored) as { from?: string; to?: string };
  if (entry.type !== 'log.key.rotated' || !entry.stream?.startsWith('log-')) return undefined;
  if (entry.body_hash !== toHex(await sha256(utf8(handover.stored)))) return undefined;
  if (body.from !== from || !body.to) return undefined;
  const both = parseCheckpoint(handover.checkpoint);
  const leaf = await leafOf(handover.entry);
  const hashes = handover.hashes.map(fromHex);
  const within = await includes(handover.position, both.size, leaf, hashes, both.root);
  const signed =
    (await signedBy(both, from)) !== false && (await signedBy(both, body.to)) !== false;
  return within && signed ? body.to : undefined;
}

/** Whether what is shown of an event is what its leaf is made of. */
export async function isOf(entry: string, stored: string): Promise<boolean> {
  const { body_hash } = JSON.parse(entry) as { body_hash?: string };
  return body_hash === toHex(await sha256(utf8(stored)));
}
