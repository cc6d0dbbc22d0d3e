import { Check, ChevronDown } from 'lucide-react';
import type { ReactNode } from 'react';
import {
  Button,
  type Key,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  Select,
  SelectValue,
  Text,
} from 'react-aria-components';
import { cx } from '@/ui/cx';
import { CONTROL } from '@/ui/field';

export interface Option {
  id: string;
  label: string;
  /** What it means. */
  detail?: string;
}

interface ChoiceProps {
  label: string;
  bare?: boolean;
  options: readonly Option[];
  value: string;
  onChange(value: string): void;
  hint?: ReactNode;
  className?: string;
}

/** One of a few, chosen from a list. */
export function Choice({ label, bare, options, value, onChange, hint, className }: ChoiceProps) {
  return (
    <Select
      {...(bare ? { 'aria-label': label } : {})}
      value={value}
      onChange={(key: Key | null) => key !== null && onChange(String(key))}
      className={cx('flex flex-col gap-1', className)}
    >
      {!bare && <Label className="text-sm font-medium">{label}</Label>}
      <Button className={cx(CONTROL, 'flex cursor-pointer items-center gap-2 text-left')}>
        <SelectValue className="min-w-0 flex-1 truncate">
          {({ selectedText }) => selectedText}
        </SelectValue>
        <ChevronDown aria-hidden className="size-4 shrink-0 text-soft" />
      </Button>
      {hint && (
        <Text slot="description" className="text-xs text-soft">
          {hint}
        </Text>
      )}
      <Popover className="min-w-(--trigger-width) max-w-96 overflow-auto rounded-lg border border-line bg-raised p-1 shadow-raised">
        <ListBox className="outline-none">
          {options.map((option) => (
            <ListBoxItem
              key={option.id}
              id={option.id}
              textValue={option.label}
              className="flex cursor-pointer items-start gap-2 rounded-md px-2 py-1.5 text-sm outline-none data-focused:bg-sunken"
            >
              {({ isSelected }) => (
                <>
                  <Check
                    aria-hidden
                    className={cx('mt-0.5 size-4 shrink-0', !isSelected && 'invisible')}
                  />
                  <span className="min-w-0">
                    <span className="block">{option.label}</span>
                    {option.detail && (
                      <span className="block text-xs text-soft">{option.detail}</span>
                    )}
                  </span>
                </>
              )}
            </ListBoxItem>
          ))}
        </ListBox>
      </Popover>
    </Select>
  );
}
