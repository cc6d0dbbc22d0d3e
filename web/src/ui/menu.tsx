import { EllipsisVertical, type LucideIcon } from 'lucide-react';
import { Menu as AriaMenu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import { IconButton } from '@/ui/button';
import { cx } from '@/ui/cx';

export interface MenuAction {
  id: string;
  label: string;
  icon: LucideIcon;
  danger?: boolean;
  run(): void;
}

/** What else can be done. */
export function Menu({ label, actions }: { label: string; actions: readonly MenuAction[] }) {
  if (actions.length === 0) return null;
  return (
    <MenuTrigger>
      <IconButton icon={EllipsisVertical} label={label} />
      <Popover className="min-w-44 rounded-lg border border-line bg-raised p-1 shadow-raised">
        <AriaMenu
          className="outline-none"
          onAction={(key) => actions.find(({ id }) => id === key)?.run()}
        >
          {actions.map(({ id, label: text, icon: Icon, danger }) => (
            <MenuItem
              key={id}
              id={id}
              textValue={text}
              className={cx(
                'flex cursor-pointer items-center gap-2 rounded-md px-2 py-1.5 text-sm outline-none data-focused:bg-sunken',
                danger && 'text-bad',
              )}
            >
              <Icon aria-hidden className="size-4" />
              {text}
            </MenuItem>
          ))}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}
