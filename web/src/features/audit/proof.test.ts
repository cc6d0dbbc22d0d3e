// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { hold, type Key, type Log } from './hold';
import {
  extendsTree,
  fromHex,
  handedOver,
  includes,
  isOf,
  leafOf,
  parseCheckpoint,
  signedBy,
} from './proof';
// Made by the server's own code, of a log whose key changes in the middle.
import vectors from './vectors.json';

const at = (size: number) => {
  const note = vectors.checkpoints[size - 1];
  if (!note) throw new Error(`no checkpoint of ${size}`);
  return note;
};
const root = (size: number) => parseCheckpoint(at(size)).root;
const [first, second] = vectors.keys as [string, string];

/** A server that shows the log up to a size. */
function server(size: number, change: Partial<Log> = {}): Log {
  const keys: Key[] = [{ key: first }];
  if (size >= vectors.handover.position) keys.push({ key: second, handover: vectors.handover });
  return {
    checkpoint: async () => at(size),
    keys: async () => keys,
    consistency: async (from, to) =>
      vectors.consistency.find((it) => it.from === from && it.to === to)?.hashes ?? [],
    ...change,
  };
}

describe('what a browser verifies', () => {
  it('takes every proof of inclusion that the server makes, for that event alone', async () => {
    for (const { position, size, hashes } of vectors.inclusion) {
      const path = hashes.map(fromHex);
      const leaf = await leafOf(vectors.events[position - 1]?.entry ?? '');
      expect(await includes(position, size, leaf, path, root(size))).toBe(true);
      const other = await leafOf(`${vectors.events[position - 1]?.entry} `);
      expect(await includes(position, size, other, path, root(size))).toBe(false);
      expect(await includes(position, size, leaf, path.slice(1), root(size))).toBe(size === 1);
      expect(await includes(position + 1, size, leaf, path, root(size))).toBe(false);
    }
  });

  it('takes every proof of consistency that the server makes, from that tree alone', async () => {
    for (const { from, to, hashes } of vectors.consistency) {
      const path = hashes.map(fromHex);
      expect(await extendsTree(from, root(from), to, root(to), path)).toBe(true);
      const forked = root(from).map((byte, place) => (place === 3 ? byte ^ 1 : byte));
      expect(await extendsTree(from, forked, to, root(to), path)).toBe(false);
      expect(await extendsTree(from, root(from), to, forked, path)).toBe(false);
    }
  });

  it('knows who signed', async () => {
    expect(await signedBy(parseCheckpoint(at(11)), first)).toBe(true);
    expect(await signedBy(parseCheckpoint(at(11)), second)).toBe(false);
    expect(await signedBy(parseCheckpoint(at(12)), second)).toBe(true);
    const changed = at(11).replace('\n11\n', '\n10\n');
    expect(await signedBy(parseCheckpoint(changed), first)).toBe(false);
    expect(() => parseCheckpoint('nothing')).toThrow();
  });

  it('compares what is shown of an event with what was recorded', async () => {
    const [event] = vectors.events;
    expect(await isOf(event?.entry ?? '', event?.stored ?? '')).toBe(true);
    expect(await isOf(event?.entry ?? '', `${event?.stored} `)).toBe(false);
  });

  it('believes the key that a known one handed over to, and no other', async () => {
    expect(await handedOver(first, vectors.handover)).toBe(second);
    expect(await handedOver(second, vectors.handover)).toBeUndefined();
    const other = { ...vectors.handover, checkpoint: at(11) };
    expect(await handedOver(first, other)).toBeUndefined();
  });
});

describe('what a browser remembers', () => {
  const seen = { note: at(10), key: first };

  it('takes a log that goes on, also with a key that was handed over to', async () => {
    expect(await hold(server(11), undefined)).toMatchObject({ key: first, verified: true });
    const held = await hold(server(23), seen);
    expect(held).toMatchObject({ before: 10, key: second, verified: true });
    expect(held.breach).toBeUndefined();
    expect((await hold(server(10), seen)).breach).toBeUndefined();
  });

  it('finds a log that was rolled back', async () => {
    expect((await hold(server(9), seen)).breach).toBe('rolled-back');
  });

  it('finds a log with another past', async () => {
    const other = at(10).split('\n');
    other[2] = at(9).split('\n')[2] ?? '';
    const before = { note: other.join('\n'), key: first };
    expect((await hold(server(11), before)).breach).toBe('forked');
    // Of the same size, too.
    expect((await hold(server(10), before)).breach).toBe('forked');
    expect((await hold(server(11, { consistency: async () => [] }), seen)).breach).toBe('forked');
  });

  it('finds a key that nobody handed over to', async () => {
    const keys = async () => [{ key: first }, { key: second }];
    expect((await hold(server(23, { keys }), seen)).breach).toBe('key');
  });
});
