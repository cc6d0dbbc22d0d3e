import { memo, type ReactNode, useMemo } from 'react';
import { type Span, spans } from '@/features/transcript/ansi';
import { cx } from '@/ui/cx';

/** The most that is drawn, in characters: its end, and of one line its beginning. */
const SHOWN = 16_000;
const LINE = 2_000;

const PALETTE = [
  'text-soft',
  'text-bad',
  'text-good',
  'text-attention',
  'text-info',
  'text-merged',
  'text-accent',
  'text-text',
];

/** Whether more of it is here than is drawn. */
export function isLong(text: string): boolean {
  return text.length > SHOWN || longestLine(text) > LINE;
}

/** What a program printed: colours kept, everything else inert, and its end where it is long. */
export const TerminalText = memo(function TerminalText({
  text,
  more,
}: {
  text: string;
  /** The way to what is not drawn. */
  more?: ReactNode;
}) {
  const hidden = beginning(text);
  const pieces = useMemo(() => spans(broken(text.slice(hidden))), [text, hidden]);
  return (
    <div className="rounded-md bg-sunken">
      {(hidden > 0 || more) && (
        <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1 text-xs text-soft">
          {hidden > 0 && <span>{hidden.toLocaleString('en')} characters before this.</span>}
          {more}
        </div>
      )}
      <pre
        tabIndex={0}
        className="max-h-96 overflow-auto px-3 py-2 font-mono text-xs break-all whitespace-pre-wrap"
      >
        {pieces.map((piece, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no other name.
          <Piece key={index} piece={piece} />
        ))}
      </pre>
    </div>
  );
});

function Piece({ piece }: { piece: Span }) {
  const { text, color, bold, faint, italic, underline } = piece;
  if (color === undefined && !bold && !faint && !italic && !underline) return text;
  return (
    <span
      className={cx(
        color !== undefined && PALETTE[color % 8],
        bold && 'font-bold',
        faint && 'text-soft',
        italic && 'italic',
        underline && 'underline',
      )}
    >
      {text}
    </span>
  );
}

/** Where what is drawn begins: with a line, unless that one is long. */
function beginning(text: string): number {
  const least = text.length - SHOWN;
  if (least <= 0) return 0;
  const line = text.indexOf('\n', least) + 1;
  return line > 0 && line < least + SHOWN / 2 ? line : least;
}

function longestLine(text: string): number {
  let longest = 0;
  for (let begin = 0; begin <= text.length; ) {
    const end = text.indexOf('\n', begin);
    longest = Math.max(longest, (end < 0 ? text.length : end) - begin);
    if (end < 0) break;
    begin = end + 1;
  }
  return longest;
}

/** A line without an end would be laid out as one: it is cut for the eye. */
function broken(text: string): string {
  if (text.length <= LINE) return text;
  return text
    .split('\n')
    .map((line) =>
      line.length > LINE
        ? `${line.slice(0, LINE)}\u001b[m … ${(line.length - LINE).toLocaleString('en')} more characters in this line`
        : line,
    )
    .join('\n');
}
