import type { components } from '@/api/generated';
import type { OutputItem } from '@/api/live/protocol';
import { isShown } from '@/features/transcript/kind';
import { at, put } from '@/features/transcript/pointer';

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

/** The place of a part in the transcript, which it keeps while its entry is replaced. */
export interface Row {
  /** Messages and parts are in the order of their ids, which is the order in time. */
  readonly order: readonly [message: string, part: string];
  readonly id: string;
  entry: Entry;
  /** How many bytes of each growing string are known, by pointer. */
  readonly known: Map<string, number>;
  shown: boolean;
  /** How high it is thought to be, until it is measured. */
  height?: number;
}

/** The most characters of one string that are kept: what is longer keeps its end. */
export const MOST = 256 * 1024;
/** The strings that agents send piece by piece: an update of the part comes without them. */
const PIECES = ['/text', '/state/output', '/state/metadata/output'];
/** Behind every part's id. */
const LAST = '\uffff';

const encoder = new TextEncoder();

/**
 * A transcript as far as it is loaded: pages from its end backwards, and what comes live after them. Whatever
 * comes live costs the same however much is loaded.
 */
export class TranscriptModel {
  readonly #rows = new Map<string, Row>();
  readonly #messages = new Map<
    string,
    { role: string | null; info: MessageInfo; rows: Set<Row> }
  >();
  /** Before this nothing is loaded. */
  #floor: Row['order'] | undefined;
  #shown: Row[] = [];
  /** Whether somebody holds that array: then it is copied before it is changed. */
  #held = false;

  /** The rows that are shown, in order. Their entries are replaced, the array only when one comes or goes. */
  get rows(): readonly Row[] {
    this.#held = true;
    return this.#shown;
  }

  entry(id: string): Entry | undefined {
    return this.#rows.get(id)?.entry;
  }

  /** Takes in a page, which comes before all that is loaded. What is here already is newer. */
  page(parts: readonly PagePart[]): void {
    const fresh: Row[] = [];
    let before = '';
    for (const part of parts) {
      // A gap has no place of its own: it comes after the part before it.
      before = part.part['type'] !== 'gap' ? part.id : before && `${before}~~${part.id}`;
      this.#floor ??= [part.message_id, before];
      if (compare([part.message_id, before], this.#floor) < 0) {
        this.#floor = [part.message_id, before];
      }
      if (this.#rows.has(part.id)) continue;
      const message = this.#message(part.message_id);
      if (message.rows.size === 0 && message.role === null) {
        message.role = part.role ?? null;
        message.info = part.message;
      }
      const row = this.#row([part.message_id, before], {
        id: part.id,
        messageId: part.message_id,
        role: message.role,
        part: part.part,
        message: message.info,
        cut: new Map(part.cut.map(({ field, bytes }) => [field, bytes])),
      });
      if (row.shown) fresh.push(row);
    }
    const newer = this.#shown;
    const last = fresh.at(-1);
    const first = newer[0];
    this.#shown = [...fresh, ...newer];
    this.#held = false;
    if (last && first && compare(last.order, first.order) > 0) this.#shown.sort(byOrder);
    for (const id of new Set(parts.map((part) => part.message_id))) this.#failure(id);
  }

  /** Takes in what came live. Parts older than all that is loaded are for a page to bring. */
  live(items: readonly OutputItem[]): void {
    for (const item of items) {
      switch (item.item) {
        case 'message': {
          const message = this.#message(item.id);
          message.role = text(item.info['role']);
          message.info = messageInfo(item.info);
          for (const row of message.rows) {
            row.entry = { ...row.entry, role: message.role, message: message.info };
          }
          this.#failure(item.id);
          break;
        }
        case 'part':
          this.#part(item.id, item.message, item.part);
          break;
        case 'text':
          this.#text(item.part, item.field, item.offset, item.text);
          break;
        case 'removed': {
          const gone = new Set(this.#messages.get(item.id)?.rows);
          const row = this.#rows.get(item.id);
          if (row) gone.add(row);
          this.#remove(gone);
          break;
        }
        case 'gap': {
          const last = this.#shown.at(-1);
          this.#insert(
            this.#row([last?.order[0] ?? '', `${last?.order[1] ?? ''}~~gap-${item.seq}`], {
              id: `gap-${item.seq}`,
              messageId: last?.entry.messageId ?? '',
              role: null,
              part: { type: 'gap', reason: item.reason },
              message: {},
              cut: new Map(),
            }),
          );
          break;
        }
      }
    }
  }

  #message(id: string) {
    let message = this.#messages.get(id);
    if (!message) {
      message = { role: null, info: {}, rows: new Set<Row>() };
      this.#messages.set(id, message);
    }
    return message;
  }

  #row(order: Row['order'], entry: Entry): Row {
    const row = { order, id: entry.id, entry, known: new Map(), shown: isShown(entry) };
    this.#rows.set(entry.id, row);
    this.#message(entry.messageId).rows.add(row);
    return row;
  }

  #part(id: string, messageId: string, fresh: Record<string, unknown>): void {
    const row = this.#rows.get(id);
    const message = this.#message(messageId);
    if (!row) {
      const order = [messageId, id] as const;
      if (this.#floor && compare(order, this.#floor) < 0) return;
      const entry = { id, messageId, part: fresh, message: message.info, cut: new Map() };
      this.#insert(this.#row(order, { ...entry, role: message.role }));
      this.#failure(messageId);
      return;
    }
    let part = fresh;
    for (const pointer of PIECES) {
      const known = at(row.entry.part, pointer);
      if (typeof known === 'string' && at(part, pointer) === undefined) {
        part = put(part, pointer, known);
      }
    }
    this.#change(row, { ...row.entry, part });
  }

  #text(id: string, pointer: string, offset: number, piece: string): void {
    const row = this.#rows.get(id);
    if (!row) return;
    const { entry } = row;
    const value = at(entry.part, pointer);
    const known = typeof value === 'string' ? value : '';
    const length = row.known.get(pointer) ?? entry.cut.get(pointer) ?? encoder.encode(known).length;
    if (offset !== 0 && offset !== length) return;
    const begun = offset === 0;
    const whole = begun ? piece : known + piece;
    const bytes = (begun ? 0 : length) + encoder.encode(piece).length;
    row.known.set(pointer, bytes);
    // Cutting costs as much as what is kept: it is done once in a while.
    const long = whole.length > 2 * MOST;
    let { cut } = entry;
    if (long || cut.has(pointer)) {
      const changed = new Map(cut);
      if (begun && !long) changed.delete(pointer);
      else changed.set(pointer, bytes);
      cut = changed;
    }
    const part = put(entry.part, pointer, long ? whole.slice(-MOST) : whole);
    this.#change(row, { ...entry, part, cut });
  }

  #change(row: Row, entry: Entry): void {
    row.entry = entry;
    const shown = isShown(entry);
    if (shown === row.shown) return;
    row.shown = shown;
    if (shown) this.#insert(row);
    else this.#drop((each) => each === row);
  }

  /** What a message failed of, behind its parts. */
  #failure(id: string): void {
    const message = this.#messages.get(id);
    const words = message?.info.error;
    if (!message || !words || message.rows.size === 0 || this.#rows.has(`error-${id}`)) return;
    this.#insert(
      this.#row([id, LAST], {
        id: `error-${id}`,
        messageId: id,
        role: message.role,
        part: { type: 'error', text: words },
        message: message.info,
        cut: new Map(),
      }),
    );
  }

  #insert(row: Row): void {
    if (!row.shown) return;
    // Nearly always the newest: looked for from the end.
    let index = this.#shown.length;
    while (index > 0 && compare(this.#shown[index - 1]?.order ?? row.order, row.order) > 0) {
      index -= 1;
    }
    if (this.#held) this.#shown = [...this.#shown];
    this.#held = false;
    this.#shown.splice(index, 0, row);
  }

  #remove(gone: ReadonlySet<Row>): void {
    if (gone.size === 0) return;
    for (const row of gone) {
      this.#rows.delete(row.id);
      this.#messages.get(row.entry.messageId)?.rows.delete(row);
    }
    this.#drop((row) => gone.has(row));
  }

  #drop(gone: (row: Row) => boolean): void {
    this.#shown = this.#shown.filter((row) => !gone(row));
    this.#held = false;
  }
}

function compare(one: Row['order'], other: Row['order']): number {
  if (one[0] !== other[0]) return one[0] < other[0] ? -1 : 1;
  return one[1] === other[1] ? 0 : one[1] < other[1] ? -1 : 1;
}

function byOrder(one: Row, other: Row): number {
  return compare(one.order, other.order);
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
