import { useEffect, useEffectEvent } from 'react';

export interface Shortcut {
  label: string;
  group: string;
  run(): void;
}

export type Shortcuts = Record<string, Shortcut>;

const active: Shortcuts[] = [];

/** Every shortcut that works at this moment, for the help sheet. */
export function shortcuts(): [string, Shortcut][] {
  return [...new Map(active.flatMap((each) => Object.entries(each)))];
}

/**
 * Keys that do something while the component is there: "j", "?", "g s" (one after the other). Nothing happens
 * while somebody writes, in a dialog, or with Ctrl, Alt or Meta held.
 */
export function useShortcuts(keys: Shortcuts): void {
  const current = useEffectEvent(() => keys);
  const names = Object.keys(keys).join('\n');
  // biome-ignore lint/correctness/useExhaustiveDependencies: other names are other shortcuts.
  useEffect(() => {
    const own = current();
    active.push(own);
    let before = '';
    let reset: ReturnType<typeof setTimeout> | undefined;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      const target = event.target;
      if (target instanceof Element) {
        if (
          target.closest('input, textarea, select, [contenteditable], [role=dialog], [role=menu]')
        )
          return;
        // Enter and space belong to what has the focus.
        if (event.key === 'Enter' && target.closest('a, button')) return;
      }
      const all = current();
      const shortcut = all[`${before} ${event.key}`] ?? all[event.key];
      clearTimeout(reset);
      before = event.key;
      reset = setTimeout(() => {
        before = '';
      }, 800);
      if (!shortcut) return;
      event.preventDefault();
      shortcut.run();
    };
    addEventListener('keydown', press);
    return () => {
      clearTimeout(reset);
      removeEventListener('keydown', press);
      active.splice(active.indexOf(own), 1);
    };
  }, [names]);
}
