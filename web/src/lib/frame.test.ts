import { afterEach, expect, it, vi } from 'vitest';
import { onFrame } from '@/lib/frame';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('goes on, once, in a tab that draws no frames', () => {
  vi.useFakeTimers();
  let drawn: FrameRequestCallback | undefined;
  vi.stubGlobal('requestAnimationFrame', (work: FrameRequestCallback) => {
    drawn = work;
    return 7;
  });
  const cancelled = vi.fn();
  vi.stubGlobal('cancelAnimationFrame', cancelled);
  const work = vi.fn();
  onFrame(work);
  vi.advanceTimersByTime(249);
  expect(work).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(1);
  expect(cancelled).toHaveBeenCalledWith(7);

  onFrame(work);
  drawn?.(0);
  vi.advanceTimersByTime(1_000);
  expect(work).toHaveBeenCalledTimes(2);

  onFrame(work)();
  vi.advanceTimersByTime(1_000);
  expect(work).toHaveBeenCalledTimes(2);
});
