import { useEffect, useEffectEvent, useSyncExternalStore } from 'react';
import { connection } from '@/api/live/connection';
import type { Message, Status } from '@/api/live/protocol';

export function useConnection(): Status {
  return useSyncExternalStore(connection.watch, connection.status);
}

/** Follows a topic from after `at` (or from now) while the component is there; `null` follows nothing. */
export function useTopic(
  topic: string | null,
  at: number | undefined,
  onMessage: (message: Message) => void,
): void {
  const handle = useEffectEvent(onMessage);
  useEffect(() => {
    if (topic === null) return;
    return connection.subscribe(topic, at, (message) => handle(message));
  }, [topic, at]);
}
