import { lazy, Suspense, useState } from 'react';
import type { Entry } from '@/features/transcript/model';
import { bytes } from '@/lib/format';
import { Button } from '@/ui/button';
import { Spinner } from '@/ui/spinner';

const WholePart = lazy(() =>
  import('@/features/transcript/whole-part').then(({ WholePart }) => ({ default: WholePart })),
);
const WholeDialog = lazy(() =>
  import('@/features/transcript/whole-part').then(({ WholeDialog }) => ({ default: WholeDialog })),
);

interface AllOfItProps {
  run: string;
  entry: Entry;
  /** What is here of it, if it is here whole but too long to be drawn. */
  text?: string;
}

/** How long it is, and the way to all of it: for what is cut, here or by the server. */
export function AllOfIt({ run, entry, text }: AllOfItProps) {
  const [open, setOpen] = useState(false);
  const cut = [...entry.cut.values()].reduce((sum, each) => sum + each, 0);
  if (cut === 0 && text === undefined) return null;
  const close = () => setOpen(false);
  return (
    <>
      <Button small look="quiet" onPress={() => setOpen(true)}>
        Show all of it: {bytes(cut || (text ?? '').length)}
      </Button>
      {open && (
        <Suspense fallback={<Spinner label="Loading" />}>
          {cut > 0 ? (
            <WholePart run={run} part={entry.id} pointers={[...entry.cut.keys()]} onClose={close} />
          ) : (
            <WholeDialog text={text ?? ''} onClose={close} />
          )}
        </Suspense>
      )}
    </>
  );
}
