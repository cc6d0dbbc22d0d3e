import { ChevronDown, ChevronRight, FileDiff } from 'lucide-react';
import { memo, useState } from 'react';
import type { DiffFile, DiffLine } from '@/features/diff/parse';
import { plain } from '@/features/transcript/ansi';
import { line } from '@/lib/safe';
import { Button } from '@/ui/button';
import { cx } from '@/ui/cx';

/** More lines than this are shown on demand, and so many more at a time. */
const MOST = 400;
const STEP = 1_000;
/** A longer line is cut. */
const LONG = 2_000;

const LOOKS: Record<DiffLine['kind'], string> = {
  same: '',
  added: 'bg-good-soft',
  removed: 'bg-bad-soft',
  note: 'text-faint italic',
};
const SIGNS: Record<DiffLine['kind'], string> = { same: ' ', added: '+', removed: '-', note: ' ' };

/** One file of a diff, folded or not. */
export const DiffFileView = memo(function DiffFileView({
  file,
  open: initial = true,
  heading = true,
}: {
  file: DiffFile;
  open?: boolean;
  heading?: boolean;
}) {
  const [open, setOpen] = useState(initial);
  const [most, setMost] = useState(MOST);
  const total = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  let left = most;
  const Fold = open ? ChevronDown : ChevronRight;
  return (
    <section
      className="overflow-hidden rounded-lg border border-line bg-surface"
      id={`file-${file.path}`}
    >
      {heading && (
        <h3>
          <button
            type="button"
            aria-expanded={open}
            onClick={() => setOpen(!open)}
            className="flex w-full cursor-pointer items-center gap-2 px-3 py-2 text-left hover:bg-sunken"
          >
            <Fold aria-hidden className="size-4 shrink-0 text-soft" />
            <FileDiff aria-hidden className="size-4 shrink-0 text-soft" />
            <span className="min-w-0 flex-1 truncate font-mono text-xs">
              {file.from && <span className="text-soft">{line(file.from)} → </span>}
              {line(file.path)}
            </span>
            {file.status !== 'changed' && <span className="text-xs text-soft">{file.status}</span>}
            {file.mode && <span className="text-xs text-soft">mode {line(file.mode, 10)}</span>}
            <span className="shrink-0 font-mono text-xs tabular-nums">
              <span className="text-good">+{file.added}</span>{' '}
              <span className="text-bad">−{file.removed}</span>
            </span>
          </button>
        </h3>
      )}
      {open && (
        <section
          aria-label={`Lines of ${line(file.path) || 'the file'}`}
          tabIndex={0}
          className={cx('overflow-x-auto', heading && 'border-t border-line')}
        >
          {file.binary && <p className="px-3 py-2 text-soft">A binary file: it is not shown.</p>}
          {file.hunks.map((hunk, index) => {
            if (left <= 0) return null;
            const lines = hunk.lines.slice(0, left);
            left -= hunk.lines.length;
            return (
              <table
                // biome-ignore lint/suspicious/noArrayIndexKey: the hunks of one diff never change.
                key={index}
                className="w-full border-collapse font-mono text-xs leading-5 [content-visibility:auto]"
              >
                <tbody>
                  {(index > 0 || hunk.heading || (hunk.lines[0]?.before ?? 1) > 1) && (
                    <tr className="bg-info-soft text-info">
                      <td colSpan={3} className="px-3 whitespace-pre">
                        {line(hunk.heading || '⋯')}
                      </td>
                    </tr>
                  )}
                  {lines.map((each, at) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: nor do their lines.
                    <tr key={at} className={LOOKS[each.kind]}>
                      <td className="w-10 px-2 text-right text-faint select-none">{each.before}</td>
                      <td className="w-10 px-2 text-right text-faint select-none">{each.after}</td>
                      <td className="pr-3 whitespace-pre">
                        <span className="select-none">{SIGNS[each.kind]} </span>
                        {plain(
                          each.text.length > LONG
                            ? `${each.text.slice(0, LONG)} … ${each.text.length} characters`
                            : each.text,
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            );
          })}
          {total > most && (
            <div className="border-t border-line p-2 text-center">
              <Button small onPress={() => setMost(most + STEP)}>
                {total - most > STEP
                  ? `Show ${STEP.toLocaleString('en')} of ${(total - most).toLocaleString('en')} more lines`
                  : `Show ${(total - most).toLocaleString('en')} more lines`}
              </Button>
            </div>
          )}
        </section>
      )}
    </section>
  );
});
