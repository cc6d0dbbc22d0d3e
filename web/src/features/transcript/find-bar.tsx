import { ArrowDown, ArrowUp, History, X } from 'lucide-react';
import { Button, IconButton } from '@/ui/button';
import { Spinner } from '@/ui/spinner';

interface FindBarProps {
  query: string;
  onQuery(query: string): void;
  /** How many parts hold it, and which of them is shown; from 0. */
  count: number;
  current: number;
  reading: boolean;
  onStep(by: 1 | -1): void;
  /** Reads what is not loaded yet, if there is any. */
  onFurther: (() => void) | undefined;
  further: boolean;
  onClose(): void;
}

/** Looks for a text in the transcript. */
export function FindBar(props: FindBarProps) {
  const { query, count, current, reading, further } = props;
  const said = reading
    ? 'Reading…'
    : count === 0
      ? 'Not found'
      : `${(current + 1).toLocaleString('en')} of ${count.toLocaleString('en')}`;
  return (
    <search className="flex flex-wrap items-center gap-1.5 border-b border-line bg-raised px-3 py-1.5">
      <input
        // biome-ignore lint/a11y/noAutofocus: it was just asked for.
        autoFocus
        aria-label="Find in the transcript"
        placeholder="Find in the transcript"
        value={query}
        onChange={(event) => props.onQuery(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') props.onClose();
          else if (event.key === 'Enter') props.onStep(event.shiftKey ? -1 : 1);
          else return;
          event.preventDefault();
        }}
        className="h-8 min-w-40 flex-1 rounded-md border border-line-strong/60 bg-surface px-2.5 text-sm sm:max-w-80"
      />
      <span role="status" className="min-w-20 px-1 text-xs text-soft tabular-nums">
        {query.trim() !== '' && said}
      </span>
      <IconButton
        icon={ArrowUp}
        label="The one before"
        isDisabled={count === 0}
        onPress={() => props.onStep(-1)}
      />
      <IconButton
        icon={ArrowDown}
        label="The next"
        isDisabled={count === 0}
        onPress={() => props.onStep(1)}
      />
      {props.onFurther &&
        query.trim() !== '' &&
        (further ? (
          <Spinner label="Looking further back" />
        ) : (
          <Button small look="quiet" icon={History} onPress={props.onFurther}>
            Look further back
          </Button>
        ))}
      <IconButton icon={X} label="Close" onPress={props.onClose} className="ml-auto" />
    </search>
  );
}
