import { useCallback, useEffect, useRef, useState } from 'react';
import { api, unwrap } from '@/api/client';
import { connection } from '@/api/live/connection';
import type { OutputMessage } from '@/api/live/protocol';
import { asProblem, type ProblemError } from '@/api/problem';
import { type Entry, TranscriptModel } from '@/features/transcript/model';
import { isShown } from '@/features/transcript/tool';

export interface Transcript {
  entries: Entry[];
  /** Where the parts before these are. */
  before: string | null;
  state: 'loading' | 'ready' | 'failed';
  error: ProblemError | undefined;
  loadBefore(): void;
  retry(): void;
}

const PAGE = 100;

/** A run's transcript: its end first, what comes live, and what was before on demand. */
export function useTranscript(run: string): Transcript {
  const model = useRef(new TranscriptModel());
  const [view, setView] = useState<Pick<Transcript, 'entries' | 'before' | 'state' | 'error'>>({
    entries: [],
    before: null,
    state: 'loading',
    error: undefined,
  });
  const [attempt, setAttempt] = useState(0);
  const loading = useRef(false);

  useEffect(() => {
    void attempt;
    const fresh = new TranscriptModel();
    model.current = fresh;
    const abort = new AbortController();
    let stop: (() => void) | undefined;
    let frame: number | undefined;
    const show = () => {
      // Agents say many things a second: they are drawn once a frame.
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setView((view) => ({ ...view, entries: fresh.entries().filter(isShown) }));
      });
    };
    unwrap(
      api.GET('/api/v1/runs/{id}/transcript', {
        params: { path: { id: run }, query: { limit: PAGE } },
        signal: abort.signal,
      }),
    ).then(
      (page) => {
        if (abort.signal.aborted) return;
        fresh.page(page.items);
        setView({
          entries: fresh.entries().filter(isShown),
          before: page.next ?? null,
          state: 'ready',
          error: undefined,
        });
        stop = connection.subscribe(`output:${run}`, page.seq, (message) => {
          if (message.kind !== 'output') return;
          fresh.live((message.data as OutputMessage).items);
          show();
        });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setView((view) => ({ ...view, state: 'failed', error: asProblem(error) }));
      },
    );
    return () => {
      abort.abort();
      stop?.();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [run, attempt]);

  const { before } = view;
  const loadBefore = useCallback(() => {
    if (!before || loading.current) return;
    loading.current = true;
    const into = model.current;
    unwrap(
      api.GET('/api/v1/runs/{id}/transcript', {
        params: { path: { id: run }, query: { limit: PAGE, before } },
      }),
    )
      .then((page) => {
        into.page(page.items);
        if (into !== model.current) return;
        setView((view) => ({
          ...view,
          entries: into.entries().filter(isShown),
          before: page.next ?? null,
        }));
      })
      .catch(() => undefined)
      .finally(() => {
        loading.current = false;
      });
  }, [run, before]);

  return { ...view, loadBefore, retry: () => setAttempt((count) => count + 1) };
}
