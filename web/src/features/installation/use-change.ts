import { useState } from 'react';
import { asProblem } from '@/api/problem';
import type { SettingsChanged } from '@/api/types';
import { changed } from '@/features/installation/query';
import { done, failed } from '@/ui/toast';

/** How a change is sent: with `dry_run` it is only checked, and told what it would change. */
export interface How {
  query: { dry_run: boolean };
  header: { 'If-Match': string };
}

type Send = (how: How) => Promise<SettingsChanged>;

export interface Review {
  title: string;
  change: SettingsChanged;
  confirm(): Promise<void>;
}

export interface Change {
  /** What is wrong with each field, in the server's words. */
  errors: ReadonlyMap<string, string>;
  /** What is wrong that is about no field. */
  problem: string | undefined;
  checking: boolean;
  /** What is to be confirmed. */
  review: Review | undefined;
  /** Checks a change; where nothing is wrong it is to be confirmed. */
  check(title: string, send: Send, after?: () => void): Promise<void>;
  /** Shows what is wrong before anything is sent. */
  refuse(errors: ReadonlyMap<string, string>): void;
  close(): void;
}

const NONE: ReadonlyMap<string, string> = new Map();

/**
 * A change of the settings in two steps: the server checks it and says what would change, and a person confirms.
 * It is about the version that was shown: what somebody else changed meanwhile is not undone.
 */
export function useChange(version: number): Change {
  const [errors, setErrors] = useState(NONE);
  const [problem, setProblem] = useState<string>();
  const [checking, setChecking] = useState(false);
  const [review, setReview] = useState<Review>();
  const how = (dry_run: boolean): How => ({
    query: { dry_run },
    header: { 'If-Match': `"${version}"` },
  });
  const tell = (error: unknown) => {
    const found = asProblem(error);
    const fields = found.problem.errors ?? [];
    setErrors(new Map(fields.map(({ field, detail }) => [field, detail])));
    if (found.status === 412) {
      // The form begins anew on what holds now, and this stays.
      failed(new Error('Somebody changed the settings meanwhile: they are shown as they are now'));
      void changed();
    } else setProblem(found.message);
  };
  return {
    errors,
    problem,
    checking,
    review,
    async check(title, send, after) {
      setErrors(NONE);
      setProblem(undefined);
      setChecking(true);
      try {
        const change = await send(how(true));
        if (change.changes.length === 0) {
          setProblem('Nothing would change: it is so already.');
          return;
        }
        setReview({
          title,
          change,
          async confirm() {
            try {
              const made = await send(how(false));
              after?.();
              await changed();
              done(`Saved. ${made.effect}`);
            } catch (error) {
              tell(error);
            }
          },
        });
      } catch (error) {
        tell(error);
      } finally {
        setChecking(false);
      }
    },
    refuse(found) {
      setErrors(found);
      setProblem(found.size > 0 ? 'Some fields are not right yet.' : undefined);
    },
    close: () => setReview(undefined),
  };
}
