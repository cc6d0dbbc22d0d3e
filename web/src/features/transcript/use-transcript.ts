import { useCallback, useEffect, useRef, useState } from 'react';
import { api, unwrap } from '@/api/client';
import { connection } from '@/api/live/connection';
import type { OutputMessage } from '@/api/live/protocol';
import { asProblem, type ProblemError } from '@/api/problem';
import { type Row, TranscriptModel } from '@/features/transcript/model';

interface View {
  rows: readonly Row[];
  /** Counts what came live: rows stay the same while their entries grow. */
  change: number;
  /** Where the parts before these are. */
  before: string | null;
  state: 'loading' | 'ready' | 'failed';
  error: ProblemError | undefined;
  /** Why the parts before these did not come. */
  beforeError: ProblemError | undefined;
}

export interface Transcript extends View {
  loadBefore(): void;
  retry(): void;
}

const EMPTY: View = {
  rows: [],
  change: 0,
  before: null,
  state: 'loading',
  error: undefined,
  beforeError: undefined,
};
/** As many as fill the screen at once, and as many as come at once later. */
const FIRST = 100;
const PAGE = 200;

/** A run's transcript: its end first, what comes live, and what was before on demand. */
export function useTranscript(run: string): Transcript {
  const model = useRef(new TranscriptModel());
  const [view, setView] = useState(EMPTY);
  const [attempt, setAttempt] = useState(0);
  const loading = useRef(false);

  useEffect(() => {
    void attempt;
    const fresh = new TranscriptModel();
    model.current = fresh;
    loading.current = false;
    setView(EMPTY);
    const abort = new AbortController();
    let stop: (() => void) | undefined;
    let frame: number | undefined;
    const show = () => {
      // Agents say many things a second: they are drawn once a frame.
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setView((view) => ({ ...view, rows: fresh.rows, change: view.change + 1 }));
      });
    };
    page(run, FIRST, null, abort.signal).then(
      ({ items, next, seq }) => {
        if (abort.signal.aborted) return;
        fresh.page(items);
        setView({ ...EMPTY, rows: fresh.rows, before: next ?? null, state: 'ready' });
        stop = connection.subscribe(`output:${run}`, seq, (message) => {
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
    page(run, PAGE, before).then(
      ({ items, next }) => {
        if (into !== model.current) return;
        loading.current = false;
        into.page(items);
        setView((view) => ({
          ...view,
          rows: into.rows,
          before: next ?? null,
          beforeError: undefined,
        }));
      },
      (error: unknown) => {
        if (into !== model.current) return;
        loading.current = false;
        setView((view) => ({ ...view, beforeError: asProblem(error) }));
      },
    );
  }, [run, before]);

  return { ...view, loadBefore, retry: () => setAttempt((count) => count + 1) };
}

function page(run: string, limit: number, before: string | null, signal?: AbortSignal) {
  return unwrap(
    api.GET('/api/v1/runs/{id}/transcript', {
      params: { path: { id: run }, query: { limit, ...(before ? { before } : {}) } },
      ...(signal ? { signal } : {}),
    }),
  );
}
