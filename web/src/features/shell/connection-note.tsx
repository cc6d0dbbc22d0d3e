import { LoaderCircle, LogOut, WifiOff } from 'lucide-react';
import { Button } from 'react-aria-components';
import { connection } from '@/api/live/connection';
import { useConnection } from '@/api/live/hooks';
import { queryClient } from '@/api/query';
import { duration, useNow } from '@/lib/time';
import { Tip } from '@/ui/tip';

const LOOK =
  'mr-1 flex h-7 cursor-pointer items-center gap-1.5 rounded-full px-2.5 text-xs font-medium';

/** Whether what the page shows is what there is now. Quiet while it is. */
export function ConnectionNote() {
  const status = useConnection();
  const now = useNow();
  switch (status.state) {
    case 'open':
      return (
        <Tip text="Live: changes are shown as they happen">
          <Button aria-label="Connected" className="mr-2 size-3 rounded-full p-0.5">
            <span className="block size-2 rounded-full bg-good" />
          </Button>
        </Tip>
      );
    case 'connecting':
      // A moment of it is no news.
      return now - status.since < 2_000 ? null : (
        <span role="status" className={`${LOOK} bg-sunken text-soft`}>
          <LoaderCircle aria-hidden className="size-3.5 animate-spin" />
          Connecting
        </span>
      );
    case 'retrying':
      return (
        <Tip
          text={`No connection for ${duration(now - status.since)}: what you see is as old as that`}
        >
          <Button
            onPress={() => connection.retry()}
            className={`${LOOK} bg-attention-soft text-attention`}
          >
            <LoaderCircle aria-hidden className="size-3.5 animate-spin" />
            <span role="status">Not live</span>
            <span className="max-sm:hidden">
              · {duration(now - status.since)} · next try in{' '}
              {duration(Math.max(0, status.next - now))}
            </span>
          </Button>
        </Tip>
      );
    case 'offline':
      return (
        <span role="status" className={`${LOOK} bg-attention-soft text-attention`}>
          <WifiOff aria-hidden className="size-3.5" />
          This machine is offline
        </span>
      );
    case 'signed-out':
      return (
        <Button
          onPress={() => void queryClient.invalidateQueries({ queryKey: ['me'] })}
          className={`${LOOK} bg-bad-soft text-bad`}
        >
          <LogOut aria-hidden className="size-3.5" />
          <span role="status">Signed out</span>
        </Button>
      );
  }
}
