import { RotateCcw } from 'lucide-react';
import type { FormEvent, ReactNode } from 'react';
import type { SettingsSource } from '@/api/types';
import { ReviewDialog } from '@/features/installation/review';
import { Source } from '@/features/installation/source';
import type { Change } from '@/features/installation/use-change';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';

interface SectionProps {
  title: string;
  source: SettingsSource;
  /** When a change has its effect, and on which runs. */
  effect: string;
  change: Change;
  onSubmit(): void;
  /** Lets it be as the configuration says again. */
  onReset?: (() => void) | undefined;
  children: ReactNode;
}

/** A section of the settings as a form: it is checked, then confirmed, then saved. */
export function SectionForm({
  title,
  source,
  effect,
  change,
  onSubmit,
  onReset,
  children,
}: SectionProps) {
  return (
    <Card title={title} aside={<Source source={source} />}>
      <form
        aria-label={title}
        className="flex flex-col gap-4 p-4"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          onSubmit();
        }}
      >
        {children}
        <p className="text-xs text-soft">{effect}</p>
        <ProblemLine change={change} />
        <div className="flex flex-wrap justify-end gap-2">
          {onReset && source.kind === 'changed' && (
            <Button icon={RotateCcw} look="quiet" onPress={onReset}>
              As the configuration says
            </Button>
          )}
          <Button type="submit" look="primary" busy={change.checking}>
            Review the change
          </Button>
        </div>
      </form>
      <ReviewDialog change={change} />
    </Card>
  );
}

export function ProblemLine({ change }: { change: Change }) {
  if (!change.problem) return null;
  return (
    <p role="alert" className="text-sm text-bad">
      {change.problem}
    </p>
  );
}
