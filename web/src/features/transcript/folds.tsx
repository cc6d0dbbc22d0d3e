import { createContext, useCallback, useContext, useSyncExternalStore } from 'react';

/** What is folded and what is not, kept while the parts come and go on the screen. */
export class Folds {
  readonly #open = new Map<string, boolean>();
  readonly #watchers = new Set<() => void>();
  readonly #onToggle: (() => void) | undefined;

  /** `onToggle` is told before somebody opens or closes one. */
  constructor(onToggle?: () => void) {
    this.#onToggle = onToggle;
  }

  get(id: string): boolean | undefined {
    return this.#open.get(id);
  }

  set(id: string, open: boolean): void {
    this.#open.set(id, open);
    for (const watcher of this.#watchers) watcher();
  }

  toggle(id: string, open: boolean): void {
    this.#onToggle?.();
    this.set(id, open);
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };
}

const Context = createContext(new Folds());

export const FoldsProvider = Context.Provider;

/** Whether that is open, and the way to change it. */
export function useFold(id: string, initial = false): [boolean, (open: boolean) => void] {
  const folds = useContext(Context);
  const open = useSyncExternalStore(folds.watch, () => folds.get(id) ?? initial);
  const set = useCallback((next: boolean) => folds.toggle(id, next), [folds, id]);
  return [open, set];
}
