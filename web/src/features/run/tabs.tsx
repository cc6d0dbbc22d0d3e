import { type ReactNode, useRef } from 'react';

interface TabsProps<T extends string> {
  label: string;
  tabs: readonly (readonly [name: T, label: string])[];
  selected: T;
  onSelect(name: T): void;
  /** Behind the tabs, in their row. */
  aside?: ReactNode;
  children: ReactNode;
}

/**
 * Tabs with one panel, that of the selected one. The panel is not watched: what it shows may change many times a
 * second.
 */
export function Tabs<T extends string>(props: TabsProps<T>) {
  const { label, tabs, selected, onSelect, aside, children } = props;
  const list = useRef<HTMLDivElement>(null);
  const go = (index: number) => {
    const [name] = tabs[(index + tabs.length) % tabs.length] ?? [];
    if (name === undefined) return;
    onSelect(name);
    list.current?.querySelector<HTMLElement>(`#tab-${name}`)?.focus();
  };
  const at = tabs.findIndex(([name]) => name === selected);
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex shrink-0 items-center border-b border-line bg-surface px-3">
        <div
          ref={list}
          role="tablist"
          aria-label={label}
          className="-mb-px flex min-w-0 flex-1 gap-1 overflow-x-auto"
          onKeyDown={(event) => {
            const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 }[event.key];
            if (to === undefined) return;
            event.preventDefault();
            go(to);
          }}
        >
          {tabs.map(([name, words]) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={name === selected}
              aria-controls="tab-panel"
              tabIndex={name === selected ? 0 : -1}
              onClick={() => onSelect(name)}
              className="cursor-pointer border-b-2 border-transparent px-2.5 py-2 text-sm whitespace-nowrap text-soft -outline-offset-2 hover:text-text aria-selected:border-accent aria-selected:font-medium aria-selected:text-text"
            >
              {words}
            </button>
          ))}
        </div>
        {aside}
      </div>
      <div
        id="tab-panel"
        role="tabpanel"
        aria-labelledby={`tab-${selected}`}
        className="min-h-0 flex-1"
      >
        {children}
      </div>
    </div>
  );
}
