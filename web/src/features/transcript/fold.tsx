import { ChevronDown, ChevronRight } from 'lucide-react';
import type { ReactNode } from 'react';
import { useFold } from '@/features/transcript/folds';

interface FoldProps {
  id: string;
  summary: ReactNode;
  /** Whether it is open before somebody opened or closed it. */
  open?: boolean;
  children: ReactNode;
}

/** One line, and more on demand. */
export function Fold({ id, summary, open: initial = false, children }: FoldProps) {
  const [open, setOpen] = useFold(id, initial);
  const Icon = open ? ChevronDown : ChevronRight;
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="flex w-full cursor-pointer items-center gap-2 rounded-md px-3 py-1.5 text-left text-sm hover:bg-sunken"
      >
        <Icon aria-hidden className="size-4 shrink-0 text-faint" />
        <span className="min-w-0 flex-1 truncate">{summary}</span>
      </button>
      {open && <div className="pt-1 pr-3 pb-2 pl-9 max-sm:pl-3">{children}</div>}
    </div>
  );
}
