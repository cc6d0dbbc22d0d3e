import { useNavigate } from '@tanstack/react-router';
import { Archive, ArchiveRestore, GitFork, Pencil, Trash2, Users } from 'lucide-react';
import { useState } from 'react';
import type { Session } from '@/api/types';
import { Share } from '@/features/access/share';
import {
  archiveSession,
  deleteSession,
  forkSession,
  renameSession,
  restoreSession,
} from '@/features/sessions/actions';
import { line } from '@/lib/safe';
import { Button } from '@/ui/button';
import { Confirm, Dialog } from '@/ui/dialog';
import { Field } from '@/ui/field';
import { Menu, type MenuAction } from '@/ui/menu';
import { done, failed } from '@/ui/toast';

/** What else may be done with a session: only what the server allows now. */
export function SessionMenu({ session }: { session: Session }) {
  const navigate = useNavigate();
  const [asking, setAsking] = useState<'rename' | 'share' | 'fork' | 'delete'>();
  const may = (action: Session['allowed_actions'][number]) =>
    session.allowed_actions.includes(action);
  const title = session.title ?? session.branch;
  const close = () => setAsking(undefined);
  const tried = (work: Promise<void>, said: string) => work.then(() => done(said)).catch(failed);
  const all: (MenuAction | false)[] = [
    may('rename') && {
      id: 'rename',
      label: 'Rename…',
      icon: Pencil,
      run: () => setAsking('rename'),
    },
    // Who looks on sees with whom it is shared.
    {
      id: 'share',
      label: may('share') ? 'Share…' : 'Shared with…',
      icon: Users,
      run: () => setAsking('share'),
    },
    may('fork') && { id: 'fork', label: 'Fork…', icon: GitFork, run: () => setAsking('fork') },
    may('archive') && {
      id: 'archive',
      label: 'Archive',
      icon: Archive,
      run: () => void tried(archiveSession(session.id), 'Archived'),
    },
    may('restore') && {
      id: 'restore',
      label: 'Bring back',
      icon: ArchiveRestore,
      run: () => void tried(restoreSession(session.id), 'Brought back'),
    },
    may('delete') && {
      id: 'delete',
      label: 'Delete…',
      icon: Trash2,
      danger: true,
      run: () => setAsking('delete'),
    },
  ];
  return (
    <>
      <Menu label="More" actions={all.filter((action) => action !== false)} />
      <Share session={session} isOpen={asking === 'share'} onClose={close} />
      <TitleDialog
        key={asking}
        heading={asking === 'fork' ? 'Fork the session' : 'Rename the session'}
        hint={
          asking === 'fork'
            ? 'A session of its own, from the newest snapshot of this one: its files and its conversation, on another branch.'
            : ''
        }
        isOpen={asking === 'rename' || asking === 'fork'}
        initial={asking === 'fork' ? line(`${title} (fork)`, 120) : title}
        action={asking === 'fork' ? 'Fork it' : 'Rename it'}
        onClose={close}
        onGiven={async (text) => {
          if (asking === 'rename') return renameSession(session.id, text);
          const fork = await forkSession(session.id, text);
          await navigate({ to: '/new', search: { session: fork } });
        }}
      />
      <Confirm
        title="Delete this session?"
        isOpen={asking === 'delete'}
        onClose={close}
        action="Delete it"
        danger
        onConfirm={async () => {
          try {
            await deleteSession(session.id);
            await navigate({ to: '/' });
          } catch (error) {
            failed(error);
          }
        }}
      >
        Its snapshots and its output go. The pull request stays, and so does the record of what was
        done.
      </Confirm>
    </>
  );
}

interface TitleDialogProps {
  heading: string;
  hint: string;
  isOpen: boolean;
  initial: string;
  action: string;
  onClose(): void;
  onGiven(title: string): Promise<void>;
}

function TitleDialog({
  heading,
  hint,
  isOpen,
  initial,
  action,
  onClose,
  onGiven,
}: TitleDialogProps) {
  const [title, setTitle] = useState(initial);
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={heading} isOpen={isOpen} onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={async (event) => {
          event.preventDefault();
          setBusy(true);
          try {
            await onGiven(title.trim());
            onClose();
          } catch (error) {
            failed(error);
          } finally {
            setBusy(false);
          }
        }}
      >
        <Field label="Title" value={title} onChange={setTitle} hint={hint} autoFocus />
        <div className="flex justify-end">
          <Button look="primary" type="submit" busy={busy} isDisabled={!title.trim()}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
