import { memo, useMemo, useState } from 'react';
import { type Span, spans } from '@/features/transcript/ansi';
import { Button } from '@/ui/button';
import { cx } from '@/ui/cx';

/** The most that is drawn at once, in characters, and of one line. */
const SHOWN = 12_000;
const LINE = 4_000;
const STEP = 60_000;

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

/** What a program printed: colours kept, everything else inert, and its end first where it is long. */
export const TerminalText = memo(function TerminalText({ text }: { text: string }) {
  const [most, setMost] = useState(SHOWN);
  const hidden = Math.max(0, text.length - most);
  const pieces = useMemo(() => spans(broken(text.slice(-most))), [text, most]);
  return (
    <div className="rounded-md bg-sunken">
      {hidden > 0 && (
        <div className="border-b border-line px-2 py-1">
          <Button small look="quiet" onPress={() => setMost(most + STEP)}>
            {hidden.toLocaleString('en')} characters before this: show more
          </Button>
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
        faint && 'opacity-70',
        italic && 'italic',
        underline && 'underline',
      )}
    >
      {text}
    </span>
  );
}

/** A line without an end would be laid out as one: it is cut for the eye. */
function broken(text: string): string {
  if (text.length <= LINE) return text;
  return text
    .split('\n')
    .map((line) =>
      line.length > LINE
        ? `${line.slice(0, LINE)} … ${(line.length - LINE).toLocaleString('en')} more characters in this line`
        : line,
    )
    .join('\n');
}
