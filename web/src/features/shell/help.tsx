import { shortcuts } from '@/features/shell/shortcuts';
import { Dialog } from '@/ui/dialog';
import { Kbd } from '@/ui/kbd';

/** Every shortcut that works on this screen. */
export function Help({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) {
  const all: [string, string, string][] = [
    ...shortcuts().map(([keys, { label, group }]): [string, string, string] => [
      keys,
      label,
      group,
    ]),
    ['Ctrl K', 'Go to anything', 'Everywhere'],
  ];
  const groups = [...new Set(all.map(([, , group]) => group))];
  return (
    <Dialog title="Shortcuts" isOpen={isOpen} onClose={onClose}>
      {groups.map((group) => (
        <section key={group}>
          <h3 className="mb-1 text-xs font-semibold text-soft">{group}</h3>
          <dl className="grid grid-cols-[1fr_auto] gap-y-1.5">
            {all
              .filter(([, , of]) => of === group)
              .map(([keys, label]) => (
                <div key={keys} className="contents">
                  <dt>{label}</dt>
                  <dd>
                    <Kbd keys={keys} />
                  </dd>
                </div>
              ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}
