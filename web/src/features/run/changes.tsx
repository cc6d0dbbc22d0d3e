import { useQuery } from '@tanstack/react-query';
import { FileDiff } from 'lucide-react';
import { useMemo } from 'react';
import { api, unwrap } from '@/api/client';
import { useTopic } from '@/api/live/hooks';
import { queryClient } from '@/api/query';
import type { Run } from '@/api/types';
import { DiffFileView } from '@/features/diff/diff-view';
import { parseDiff } from '@/features/diff/parse';
import { plural } from '@/lib/format';
import { line } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { EmptyState, ErrorState, Skeleton } from '@/ui/state';

/** Behind so many lines, files begin folded. */
const OPEN = 1_500;

/** The whole diff of the branch against its base, as it grows and after. */
export function Changes({ run }: { run: Run }) {
  const queryKey = ['run', run.id, 'changes'];
  const changes = useQuery({
    queryKey,
    queryFn: ({ signal }) =>
      unwrap(api.GET('/api/v1/runs/{id}/changes', { params: { path: { id: run.id } }, signal })),
    staleTime: run.finished_at ? 60_000 : 2_000,
  });
  useTopic(run.finished_at ? null : `changes:${run.id}`, undefined, () => {
    void queryClient.invalidateQueries({ queryKey });
  });
  const files = useMemo(() => parseDiff(changes.data?.diff ?? ''), [changes.data?.diff]);
  const opened = useMemo(() => {
    let lines = 0;
    return files.map((file) => {
      const before = lines;
      lines += file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
      return before < OPEN;
    });
  }, [files]);
  if (changes.isPending) return <Skeleton rows={4} label="Loading the changes" />;
  if (changes.isError) {
    return (
      <ErrorState error={changes.error} what="the changes" retry={() => void changes.refetch()} />
    );
  }
  if (files.length === 0) {
    return (
      <EmptyState icon={FileDiff} title="Nothing is changed">
        The branch is as its base is{run.finished_at ? '.' : ', so far.'}
      </EmptyState>
    );
  }
  const added = files.reduce((sum, file) => sum + file.added, 0);
  const removed = files.reduce((sum, file) => sum + file.removed, 0);
  return (
    <div className="mx-auto flex max-w-5xl flex-col gap-3 p-4">
      <p className="flex flex-wrap items-center gap-3">
        <span className="font-medium">{plural(files.length, 'file')}</span>
        <span className="font-mono text-xs">
          <span className="text-good">+{added}</span> <span className="text-bad">−{removed}</span>
        </span>
        <span className="text-xs text-soft">
          against <code className="font-mono">{run.base}</code> at {changes.data.base.slice(0, 12)}
        </span>
        {!changes.data.live && !run.finished_at && <Badge>as of the last turn</Badge>}
        {changes.data.truncated && (
          <Badge tone="attention">cut: the diff is too long to show whole</Badge>
        )}
      </p>
      {files.length > 3 && (
        <ul className="flex flex-col rounded-lg border border-line bg-surface py-1 text-xs">
          {files.map((file) => (
            <li key={file.path}>
              <a
                href={`#file-${file.path}`}
                className="flex justify-between gap-4 px-3 py-0.5 font-mono hover:bg-sunken"
              >
                <span className="truncate">{line(file.path)}</span>
                <span className="shrink-0">
                  <span className="text-good">+{file.added}</span>{' '}
                  <span className="text-bad">−{file.removed}</span>
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
      {files.map((file, index) => (
        <DiffFileView key={file.path} file={file} open={opened[index] ?? false} />
      ))}
    </div>
  );
}
