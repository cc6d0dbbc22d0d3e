import type { ReactNode } from 'react';
import {
  Switch as AriaSwitch,
  FieldError,
  Input,
  Label,
  Text,
  TextArea,
  TextField,
  type TextFieldProps,
} from 'react-aria-components';
import { cx } from '@/ui/cx';

export const CONTROL =
  'w-full rounded-md border border-line-strong/60 bg-surface px-2.5 py-1.5 text-sm text-text ' +
  'placeholder:text-faint data-invalid:border-bad disabled:opacity-60';

interface FieldProps extends Omit<TextFieldProps, 'className' | 'children' | 'style'> {
  label: string;
  /** Not shown, only said: where the place itself says what it is. */
  bare?: boolean;
  hint?: ReactNode;
  error?: string | undefined;
  placeholder?: string;
  /** More than one line: how many at first. */
  rows?: number;
  className?: string;
  inputClassName?: string;
  mono?: boolean;
}

export function Field({
  label,
  bare = false,
  hint,
  error,
  placeholder,
  rows,
  className,
  inputClassName,
  mono = false,
  ...props
}: FieldProps) {
  const look = cx(CONTROL, mono && 'font-mono', inputClassName);
  const shared = placeholder === undefined ? {} : { placeholder };
  return (
    <TextField
      {...props}
      {...(bare ? { 'aria-label': label } : {})}
      isInvalid={error !== undefined}
      // What the server said is wrong stays until it is asked again: it must not keep the form from asking.
      validationBehavior="aria"
      className={cx('flex flex-col gap-1', className)}
    >
      {!bare && <Label className="text-sm font-medium">{label}</Label>}
      {rows ? (
        <TextArea
          {...shared}
          rows={rows}
          // Grows with what is in it; `rows` alone would not hold it open.
          style={{ minHeight: `${rows * 1.25 + 0.875}rem` }}
          className={cx(look, 'field-sizing-content max-h-96 resize-none')}
        />
      ) : (
        <Input {...shared} className={look} />
      )}
      {hint && !error && (
        <Text slot="description" className="text-xs text-soft">
          {hint}
        </Text>
      )}
      <FieldError className="text-xs text-bad">{error}</FieldError>
    </TextField>
  );
}

interface SwitchProps {
  children: ReactNode;
  selected: boolean;
  onChange(selected: boolean): void;
}

export function Switch({ children, selected, onChange }: SwitchProps) {
  return (
    <AriaSwitch
      isSelected={selected}
      onChange={onChange}
      className="group inline-flex cursor-pointer items-center gap-2 text-sm"
    >
      <span
        aria-hidden
        className="h-4.5 w-8 rounded-full border border-line-strong bg-sunken p-0.5 transition-colors group-data-selected:border-accent group-data-selected:bg-accent group-data-focus-visible:outline-2 group-data-focus-visible:outline-offset-2 group-data-focus-visible:outline-focus"
      >
        <span className="block size-3 rounded-full bg-line-strong transition-transform group-data-selected:translate-x-3.5 group-data-selected:bg-on-accent" />
      </span>
      {children}
    </AriaSwitch>
  );
}
