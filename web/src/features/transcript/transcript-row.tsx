import { LinkIcon } from 'lucide-react';
import { memo } from 'react';
import type { Entry } from '@/features/transcript/model';
import { Part } from '@/features/transcript/part';
import { partLink } from '@/features/transcript/part-link';
import { cx } from '@/ui/cx';

interface TranscriptRowProps {
  run: string;
  id: string;
  entry: Entry;
  index: number;
  /** Where it stands, in pixels from the top of all that is loaded. */
  start: number;
  compact: boolean;
  /** Whether the address leads to it. */
  linked: boolean;
  /** Never another one while it is there. */
  measure(element: HTMLElement | null): void;
}

/** A part in its place: drawn again only when one of them changes, however often somebody scrolls. */
export const TranscriptRow = memo(function TranscriptRow(props: TranscriptRowProps) {
  const { run, id, entry, index, start, compact, linked, measure } = props;
  return (
    <div
      id={`part-${id}`}
      ref={measure}
      data-index={index}
      data-part
      className={cx(
        'group absolute left-0 w-full [contain:layout_style]',
        compact ? 'px-1 py-0.5' : 'px-3 py-1',
        linked && 'rounded-lg ring-2 ring-focus ring-inset',
      )}
      style={{ transform: `translateY(${start}px)` }}
    >
      <Part run={run} entry={entry} />
      {!compact && (
        <a
          href={partLink(id)}
          tabIndex={-1}
          title="A link to this part"
          aria-label="A link to this part"
          className="absolute top-2 -left-4 hidden size-5 items-center justify-center rounded text-faint group-hover:flex hover:text-text max-lg:group-hover:hidden"
        >
          <LinkIcon aria-hidden className="size-3.5" />
        </a>
      )}
    </div>
  );
});
