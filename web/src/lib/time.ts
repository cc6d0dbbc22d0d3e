import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function watch(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time, in steps of `step` milliseconds: a component is drawn again only when its step is over. */
export function useNow(step = 1_000): number {
  return useSyncExternalStore(watch, () => Math.floor(now / step) * step);
}

/** "just now", "42 s ago", "in 9 min". */
export function relative(at: number, now: number): string {
  const seconds = Math.round((now - at) / 1_000);
  if (Math.abs(seconds) < 5) return 'just now';
  const text = duration(Math.abs(seconds) * 1_000);
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** Two units at most: "9 s", "4 min", "2 h 5 min", "3 d". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  if (milliseconds < 1_000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60)
    return seconds % 60 && minutes < 5 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

// Made once: making one costs as much as a row of a list.
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
const MINUTE = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
});

/** The exact time, for a hover. */
export function exact(at: number): string {
  return Number.isNaN(at) ? 'at no known time' : EXACT.format(at);
}

/** The time of day, to the minute. */
export function minute(at: number): string {
  return Number.isNaN(at) ? '' : MINUTE.format(at);
}
