import { CircleAlert, CircleCheck, X } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import { asProblem } from '@/api/problem';
import { IconButton } from '@/ui/button';
import { cx } from '@/ui/cx';

interface Toast {
  id: number;
  tone: 'good' | 'bad';
  text: string;
}

let toasts: readonly Toast[] = [];
let next = 1;
const watchers = new Set<() => void>();

function change(to: readonly Toast[]): void {
  toasts = to;
  for (const watcher of watchers) watcher();
}

function add(tone: Toast['tone'], text: string, stays: number): void {
  const id = next++;
  change([...toasts.slice(-3), { id, tone, text }]);
  setTimeout(() => dismiss(id), stays);
}

function dismiss(id: number): void {
  change(toasts.filter((toast) => toast.id !== id));
}

/** Says that something was done. */
export function done(text: string): void {
  add('good', text, 4_000);
}

/** Says that something was refused or failed, in the server's words. */
export function failed(error: unknown): void {
  add('bad', asProblem(error).message, 12_000);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => toasts,
  );
  return (
    <section
      aria-label="Messages"
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-4 z-50 flex w-[min(26rem,calc(100vw-2rem))] flex-col gap-2"
    >
      {shown.map(({ id, tone, text }) => {
        const Icon = tone === 'good' ? CircleCheck : CircleAlert;
        return (
          <div
            key={id}
            className="pointer-events-auto flex items-start gap-2 rounded-lg border border-line bg-raised p-3 text-sm shadow-raised"
          >
            <Icon
              aria-hidden
              className={cx('mt-0.5 size-4 shrink-0', tone === 'good' ? 'text-good' : 'text-bad')}
            />
            <span className="min-w-0 flex-1 break-words">{text}</span>
            <IconButton icon={X} label="Dismiss" onPress={() => dismiss(id)} className="-m-1.5" />
          </div>
        );
      })}
    </section>
  );
}
