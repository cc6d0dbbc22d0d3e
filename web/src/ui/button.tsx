import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from 'react-aria-components';
import { cx } from '@/ui/cx';
import { Spinner } from '@/ui/spinner';
import { Tip } from '@/ui/tip';

type Look = 'primary' | 'secondary' | 'quiet' | 'danger';

const LOOKS: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:brightness-110 data-pressed:brightness-95',
  secondary: 'bg-surface border border-line-strong/60 text-text hover:bg-sunken',
  quiet: 'text-soft hover:bg-sunken hover:text-text',
  danger: 'bg-surface border border-bad/60 text-bad hover:bg-bad-soft',
};

const BASE =
  'inline-flex items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap select-none ' +
  'transition-colors disabled:opacity-50 disabled:cursor-not-allowed cursor-pointer';

export interface ButtonProps extends Omit<AriaButtonProps, 'className' | 'children' | 'style'> {
  look?: Look;
  small?: boolean;
  icon?: LucideIcon;
  /** The command is under way: it cannot be given again. */
  busy?: boolean;
  children: ReactNode;
  className?: string;
}

export function Button({
  look = 'secondary',
  small = false,
  icon: Icon,
  busy = false,
  children,
  className,
  onPress,
  type,
  ...props
}: ButtonProps) {
  // Not `isPending`: what that tells a screen reader refers to the button, and is nameless once the button is gone.
  const press = busy
    ? { 'aria-disabled': true, 'data-pending': true }
    : { ...(onPress ? { onPress } : {}), ...(type ? { type } : {}) };
  return (
    <AriaButton
      {...props}
      {...press}
      className={cx(BASE, small ? 'h-7 px-2 text-xs' : 'h-8 px-3 text-sm', LOOKS[look], className)}
    >
      {busy ? <Spinner /> : Icon && <Icon aria-hidden className="size-4 shrink-0" />}
      {children}
    </AriaButton>
  );
}

export interface IconButtonProps extends Omit<AriaButtonProps, 'className' | 'children' | 'style'> {
  icon: LucideIcon;
  /** What it does: its name, and shown on hover. */
  label: string;
  shortcut?: string;
  className?: string;
}

export function IconButton({ icon: Icon, label, shortcut, className, ...props }: IconButtonProps) {
  return (
    <Tip text={label} {...(shortcut ? { shortcut } : {})}>
      <AriaButton
        {...props}
        aria-label={label}
        className={cx(BASE, 'size-8 text-soft hover:bg-sunken hover:text-text', className)}
      >
        <Icon aria-hidden className="size-4" />
      </AriaButton>
    </Tip>
  );
}
