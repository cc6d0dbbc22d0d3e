import type { components } from '@/api/generated';

/** How the one connection to the server is. */
export type Status =
  | { state: 'connecting'; since: number }
  | { state: 'open'; since: number; version: string | null }
  | { state: 'retrying'; since: number; attempt: number; next: number }
  | { state: 'offline'; since: number }
  | { state: 'signed-out'; since: number };

/** One event of a topic, as the server sent it. */
export interface Message {
  kind: string;
  topic: string;
  /** Where the topic is then; absent where it has no positions. */
  at?: number;
  data: unknown;
}

/** What a page asks of the hub. */
export type FromPage =
  | { type: 'subscribe'; id: number; topic: string; at?: number }
  | { type: 'unsubscribe'; id: number }
  | { type: 'alive' }
  /** Somebody looks: do not wait for the next try. */
  | { type: 'poke' }
  | { type: 'bye' };

/** What the hub tells a page. */
export type ToPage =
  | { type: 'status'; status: Status }
  | { type: 'message'; id: number; message: Message };

type Schemas = components['schemas'];

export type SessionMessage = Schemas['SessionEvent'];
export type RunMessage = Schemas['RunEvent'];
export type SystemMessage = Schemas['SystemEvent'];

/** An item of a run's output, as it is stored: see the fold. */
export type OutputItem = { seq: number } & (
  | { item: 'message'; id: string; info: Record<string, unknown> }
  | { item: 'part'; message: string; id: string; part: Record<string, unknown> }
  | { item: 'text'; part: string; field: string; offset: number; text: string }
  | { item: 'removed'; id: string }
  | { item: 'gap'; reason: string }
);

export interface OutputMessage {
  items: OutputItem[];
}
