import { useNavigate } from '@tanstack/react-router';
import {
  Activity,
  ListTree,
  type LucideIcon,
  MessageSquare,
  Plus,
  ScrollText,
  Settings2,
  ShieldCheck,
} from 'lucide-react';
import { useEffect, useMemo } from 'react';
import {
  Autocomplete,
  Dialog,
  Input,
  Menu,
  MenuItem,
  Modal,
  ModalOverlay,
  SearchField,
  useFilter,
} from 'react-aria-components';
import type { Session } from '@/api/types';
import { useMay } from '@/features/access/query';
import { sessions } from '@/features/sessions/store';
import { STATES } from '@/features/sessions/words';
import { line } from '@/lib/safe';

interface Entry {
  id: string;
  label: string;
  detail?: string;
  icon: LucideIcon;
  run(): void;
}

/** Ctrl K: to any session or screen, by a few letters of it. */
export function Palette({
  isOpen,
  onOpenChange,
}: {
  isOpen: boolean;
  onOpenChange(open: boolean): void;
}) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        onOpenChange(true);
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [onOpenChange]);
  return (
    <ModalOverlay
      isOpen={isOpen}
      onOpenChange={onOpenChange}
      isDismissable
      className="fixed inset-0 z-40 flex items-start justify-center bg-black/40 px-4 pt-[14vh]"
    >
      <Modal className="w-full max-w-xl overflow-hidden rounded-xl border border-line bg-raised shadow-raised">
        <Dialog aria-label="Go to" className="outline-none">
          <Entries onDone={() => onOpenChange(false)} />
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

function Entries({ onDone }: { onDone(): void }) {
  const navigate = useNavigate();
  const begins = useMay('session.create');
  const audits = useMay('audit.read');
  const { contains } = useFilter({ sensitivity: 'base' });
  const entries = useMemo((): Entry[] => {
    const go = (session: Session) => {
      const run = session.active_run ?? session.last_run;
      if (run) void navigate({ to: '/runs/$id', params: { id: run.id } });
      else void navigate({ to: '/sessions/$id', params: { id: session.id } });
    };
    const start: Entry[] = begins
      ? [{ id: 'new', label: 'New run', icon: Plus, run: () => void navigate({ to: '/new' }) }]
      : [];
    return [
      ...start,
      { id: 'home', label: 'Sessions', icon: ListTree, run: () => void navigate({ to: '/' }) },
      {
        id: 'system',
        label: 'System',
        icon: Activity,
        run: () => void navigate({ to: '/system' }),
      },
      {
        id: 'settings',
        label: 'Settings',
        icon: Settings2,
        run: () => void navigate({ to: '/settings' }),
      },
      {
        id: 'installation',
        label: 'Settings of the installation',
        icon: Settings2,
        run: () => void navigate({ to: '/settings/installation' }),
      },
      {
        id: 'access',
        label: 'Access',
        icon: ShieldCheck,
        run: () => void navigate({ to: '/access' }),
      },
      ...(audits
        ? [
            {
              id: 'audit',
              label: 'Record of everything',
              icon: ScrollText,
              run: () => void navigate({ to: '/audit' }),
            },
          ]
        : []),
      ...[...sessions.get().byId.values()].map((session) => ({
        id: session.id,
        label: line(session.title ?? session.branch, 90),
        detail: `${session.repo} · ${session.state ? STATES[session.state].label : 'Not started'}`,
        icon: MessageSquare,
        run: () => go(session),
      })),
    ];
  }, [navigate, begins, audits]);
  return (
    <Autocomplete filter={contains}>
      <SearchField aria-label="Go to" autoFocus className="border-b border-line">
        <Input
          placeholder="Go to a session or a screen"
          className="w-full bg-transparent px-4 py-3 text-base outline-none placeholder:text-faint"
        />
      </SearchField>
      <div className="max-h-[50vh] overflow-auto" tabIndex={0}>
        <Menu
          items={entries}
          className="p-1.5 outline-none"
          renderEmptyState={() => (
            <p className="p-4 text-center text-soft">Nothing is called that.</p>
          )}
          onAction={(key) => {
            onDone();
            entries.find(({ id }) => id === key)?.run();
          }}
        >
          {({ id, label, detail, icon: Icon }) => (
            <MenuItem
              id={id}
              textValue={`${label} ${detail ?? ''}`}
              className="flex cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-1.5 outline-none data-focused:bg-sunken"
            >
              <Icon aria-hidden className="size-4 shrink-0 text-soft" />
              <span className="min-w-0 flex-1 truncate">{label}</span>
              {detail && <span className="shrink-0 text-xs text-soft">{detail}</span>}
            </MenuItem>
          )}
        </Menu>
      </div>
    </Autocomplete>
  );
}
