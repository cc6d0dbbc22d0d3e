import type { components } from '@/api/generated';
import type { OutputItem } from '@/api/live/protocol';

/** The agent's own JSON is of any form. */
type PagePart = Omit<components['schemas']['TranscriptPart'], 'part'> & {
  part: Record<string, unknown>;
};
export type MessageInfo = components['schemas']['MessageBody'];

/** A part of what an agent put out: never changed, replaced by a newer one. */
export interface Entry {
  id: string;
  messageId: string;
  role: string | null;
  part: Record<string, unknown>;
  message: MessageInfo;
  /** The strings that are not here whole, by JSON pointer, and how long they are in bytes. */
  cut: ReadonlyMap<string, number>;
}

/** The most characters of one string that are kept: what is longer keeps its end. */
const MOST = 256 * 1024;
/** The strings that agents send piece by piece: an update of the part comes without them. */
const PIECES = ['/text', '/state/output', '/state/metadata/output'];

const encoder = new TextEncoder();

/**
 * A transcript as far as it is loaded: pages from its end backwards, and what comes live after them. Parts are
 * in the order of their ids, which is the order in time.
 */
export class TranscriptModel {
  readonly #entries = new Map<string, Entry>();
  readonly #messages = new Map<string, { role: string | null; info: MessageInfo }>();
  /** How many bytes of each growing string are known, by part and pointer. */
  readonly #lengths = new Map<string, number>();
  #order: string[] = [];

  get size(): number {
    return this.#order.length;
  }

  /** The parts in order; a new array after each change. */
  entries(): Entry[] {
    return this.#order.flatMap((id) => this.#entries.get(id) ?? []);
  }

  /** Takes in a page. What is here already is newer. */
  page(parts: readonly PagePart[]): void {
    for (const part of parts) {
      if (this.#entries.has(part.id)) continue;
      const cut = new Map(part.cut.map(({ field, bytes }) => [field, bytes]));
      this.#put({
        id: part.id,
        messageId: part.message_id,
        role: part.role ?? null,
        part: part.part,
        message: part.message,
        cut,
      });
      this.#messages.set(part.message_id, { role: part.role ?? null, info: part.message });
    }
  }

  /** Takes in what came live. Parts older than all that is loaded are for a page to bring. */
  live(items: readonly OutputItem[]): void {
    const oldest = this.#order[0] ?? '';
    for (const item of items) {
      switch (item.item) {
        case 'message': {
          const known = { role: text(item.info['role']), info: messageInfo(item.info) };
          this.#messages.set(item.id, known);
          for (const entry of this.#entries.values()) {
            if (entry.messageId !== item.id) continue;
            this.#entries.set(entry.id, { ...entry, role: known.role, message: known.info });
          }
          break;
        }
        case 'part':
          if (item.id >= oldest) this.#part(item.id, item.message, item.part);
          break;
        case 'text':
          this.#text(item.part, item.field, item.offset, item.text);
          break;
        case 'removed':
          for (const entry of [...this.#entries.values()]) {
            if (entry.id === item.id || entry.messageId === item.id) this.#remove(entry.id);
          }
          break;
        case 'gap':
          this.#put({
            id: `${this.#order.at(-1) ?? ''}~gap${item.seq}`,
            messageId: '',
            role: null,
            part: { type: 'gap', reason: item.reason },
            message: {},
            cut: new Map(),
          });
          break;
      }
    }
  }

  #part(id: string, messageId: string, fresh: Record<string, unknown>): void {
    const before = this.#entries.get(id);
    let part = fresh;
    for (const pointer of PIECES) {
      const known = before ? at(before.part, pointer) : undefined;
      if (typeof known === 'string' && at(part, pointer) === undefined)
        part = put(part, pointer, known);
    }
    const message = this.#messages.get(messageId);
    this.#put({
      id,
      messageId,
      role: message?.role ?? before?.role ?? null,
      part,
      message: message?.info ?? before?.message ?? {},
      cut: before?.cut ?? new Map(),
    });
  }

  #text(id: string, pointer: string, offset: number, piece: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    const key = `${id} ${pointer}`;
    const value = at(entry.part, pointer);
    const known = typeof value === 'string' ? value : '';
    const length = this.#lengths.get(key) ?? entry.cut.get(pointer) ?? encoder.encode(known).length;
    if (offset !== 0 && offset !== length) return;
    const begun = offset === 0;
    const whole = begun ? piece : known + piece;
    const bytes = (begun ? 0 : length) + encoder.encode(piece).length;
    this.#lengths.set(key, bytes);
    const cut = new Map(entry.cut);
    if (begun) cut.delete(pointer);
    if (whole.length > MOST || cut.has(pointer)) cut.set(pointer, bytes);
    const kept = whole.length > MOST ? whole.slice(-MOST) : whole;
    this.#entries.set(id, { ...entry, part: put(entry.part, pointer, kept), cut });
  }

  #put(entry: Entry): void {
    if (!this.#entries.has(entry.id)) {
      // Nearly always the newest: looked for from the end.
      let index = this.#order.length;
      while (index > 0 && (this.#order[index - 1] ?? '') > entry.id) index -= 1;
      this.#order.splice(index, 0, entry.id);
    }
    this.#entries.set(entry.id, entry);
  }

  #remove(id: string): void {
    this.#entries.delete(id);
    this.#order = this.#order.filter((each) => each !== id);
  }
}

/** What is at a JSON pointer. */
export function at(value: unknown, pointer: string): unknown {
  let here = value;
  for (const key of pointer.split('/').slice(1)) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Record<string, unknown>)[key];
  }
  return here;
}

function put(value: Record<string, unknown>, pointer: string, to: string): Record<string, unknown> {
  const [, key = '', ...rest] = pointer.split('/');
  if (rest.length === 0) return { ...value, [key]: to };
  const inner = value[key];
  // Where nothing holds it, there is no place for it.
  if (typeof inner !== 'object' || inner === null) return value;
  return { ...value, [key]: put(inner as Record<string, unknown>, `/${rest.join('/')}`, to) };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The agent's own message, as far as it is shown. */
function messageInfo(info: Record<string, unknown>): MessageInfo {
  const time = (key: string) => {
    const value = at(info, `/time/${key}`);
    return typeof value === 'number' ? new Date(value).toISOString() : null;
  };
  const provider = at(info, '/providerID') ?? at(info, '/model/providerID');
  const model = at(info, '/modelID') ?? at(info, '/model/modelID');
  const error =
    at(info, '/error/data/message') ?? at(info, '/error/message') ?? at(info, '/error/name');
  return {
    created: time('created'),
    completed: time('completed'),
    model:
      typeof model === 'string'
        ? `${typeof provider === 'string' ? `${provider}/` : ''}${model}`
        : null,
    error: text(error),
  };
}
