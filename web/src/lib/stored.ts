import { useCallback, useSyncExternalStore } from 'react';

const watchers = new Map<string, Set<() => void>>();

/** A small setting that this browser keeps, the same in all of its pages. */
export function useStored<T extends string>(
  key: string,
  values: readonly T[],
  initial: T,
): [T, (value: T) => void] {
  const name = `paddock.${key}`;
  const value = useSyncExternalStore(
    useCallback(
      (watcher) => {
        const all = watchers.get(name) ?? new Set();
        watchers.set(name, all.add(watcher));
        const other = (event: StorageEvent) => event.key === name && watcher();
        addEventListener('storage', other);
        return () => {
          all.delete(watcher);
          removeEventListener('storage', other);
        };
      },
      [name],
    ),
    () => read(name),
  );
  const set = useCallback(
    (next: T) => {
      try {
        localStorage.setItem(name, next);
      } catch {
        // Not kept; there is nothing better to do.
      }
      for (const watcher of watchers.get(name) ?? []) watcher();
    },
    [name],
  );
  const known = values.find((each) => each === value);
  return [known ?? initial, set];
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
