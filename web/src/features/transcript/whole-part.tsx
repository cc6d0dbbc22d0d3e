import { useQuery } from '@tanstack/react-query';
import { Copy } from 'lucide-react';
import { useMemo, useRef, useState } from 'react';
import { api, unwrap } from '@/api/client';
import { plain } from '@/features/transcript/ansi';
import { lines } from '@/features/transcript/lines';
import { at } from '@/features/transcript/pointer';
import { bytes, plural } from '@/lib/format';
import { Button } from '@/ui/button';
import { Dialog } from '@/ui/dialog';
import { ErrorState, Skeleton } from '@/ui/state';
import { done, failed } from '@/ui/toast';

/** As many characters as a line on the screen has at most. */
const WIDTH = 160;
const HEIGHT = 18;
/** Browsers lay nothing out that is higher than some 17 million pixels. */
const MOST_LINES = 900_000;
/** As many lines as are drawn: more than any screen has, twice. */
const DRAWN = 160;

/** A long text, whole: only the lines in sight are drawn, and one without an end is many. */
export function WholePart({
  run,
  part,
  pointers,
  onClose,
}: {
  run: string;
  part: string;
  pointers: string[];
  onClose(): void;
}) {
  const whole = useQuery({
    queryKey: ['run', run, 'part', part],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/runs/{id}/parts/{part}', { params: { path: { id: run, part } }, signal }),
      ),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Dialog title="All of it" isOpen onClose={onClose} wide>
      {whole.isPending && <Skeleton rows={6} />}
      {whole.isError && (
        <ErrorState error={whole.error} what="the part" retry={() => void whole.refetch()} />
      )}
      {whole.data && (
        <WholeText
          text={pointers.map((pointer) => String(at(whole.data.part, pointer) ?? '')).join('\n')}
        />
      )}
    </Dialog>
  );
}

/** A text that is here already. */
export function WholeDialog({ text, onClose }: { text: string; onClose(): void }) {
  return (
    <Dialog title="All of it" isOpen onClose={onClose} wide>
      <WholeText text={text} />
    </Dialog>
  );
}

/** A text of any length, in a window over its lines. */
export function WholeText({ text }: { text: string }) {
  const all = useMemo(() => lines(text, WIDTH), [text]);
  const count = Math.min(all.count, MOST_LINES);
  const [first, setFirst] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const from = Math.max(0, Math.min(first, count - DRAWN));
  return (
    <>
      <p className="flex flex-wrap items-center gap-3 text-xs text-soft">
        {plural(all.count, 'line')} of at most {WIDTH} characters · {bytes(text.length)}
        {all.count > count && <span>only the first {count.toLocaleString('en')} are shown</span>}
        <Button
          small
          look="quiet"
          icon={Copy}
          className="ml-auto"
          onPress={() => {
            navigator.clipboard.writeText(text).then(() => done('It is copied'), failed);
          }}
        >
          Copy
        </Button>
      </p>
      <div
        ref={scroller}
        role="document"
        aria-label="The whole text"
        tabIndex={0}
        className="h-[60vh] overflow-auto rounded-md bg-sunken font-mono text-xs"
        onScroll={({ currentTarget }) => {
          // A step of lines at a time: what is drawn reaches further than what is in sight.
          const line = Math.floor(currentTarget.scrollTop / HEIGHT) - DRAWN / 4;
          setFirst(Math.max(0, line - (line % 20)));
        }}
      >
        <div className="relative" style={{ height: count * HEIGHT }}>
          <div className="absolute left-0" style={{ top: from * HEIGHT }}>
            {Array.from({ length: Math.min(DRAWN, count - from) }, (_, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a line has no other name.
              <div key={from + index} className="h-[18px] px-3 whitespace-pre">
                {plain(all.line(from + index))}
              </div>
            ))}
          </div>
        </div>
      </div>
    </>
  );
}
