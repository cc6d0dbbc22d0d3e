import { useQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import { api, unwrap } from '@/api/client';
import { plain } from '@/features/transcript/ansi';
import { at } from '@/features/transcript/model';
import { Dialog } from '@/ui/dialog';
import { ErrorState, Skeleton } from '@/ui/state';

/** As many characters as a line on the screen has at most. */
const WIDTH = 160;

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
  });
  return (
    <Dialog title="All of it" isOpen onClose={onClose} wide>
      {whole.isPending && <Skeleton rows={6} />}
      {whole.isError && (
        <ErrorState error={whole.error} what="the part" retry={() => void whole.refetch()} />
      )}
      {whole.data && (
        <Lines
          text={pointers.map((pointer) => String(at(whole.data.part, pointer) ?? '')).join('\n')}
        />
      )}
    </Dialog>
  );
}

function Lines({ text }: { text: string }) {
  const lines = useMemo(
    () =>
      text.split('\n').flatMap((line) => {
        if (line.length <= WIDTH) return [line];
        return Array.from({ length: Math.ceil(line.length / WIDTH) }, (_, index) =>
          line.slice(index * WIDTH, (index + 1) * WIDTH),
        );
      }),
    [text],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 18,
    overscan: 20,
  });
  return (
    <div
      ref={scroller}
      tabIndex={0}
      className="h-[60vh] overflow-auto rounded-md bg-sunken font-mono text-xs"
    >
      <div className="relative" style={{ height: list.getTotalSize() }}>
        {list.getVirtualItems().map(({ index, start }) => (
          <div
            key={index}
            className="absolute left-0 h-[18px] px-3 whitespace-pre"
            style={{ transform: `translateY(${start}px)` }}
          >
            {plain(lines[index] ?? '')}
          </div>
        ))}
      </div>
    </div>
  );
}
