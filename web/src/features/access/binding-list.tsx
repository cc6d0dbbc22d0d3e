import { Trash2 } from 'lucide-react';
import { useState } from 'react';
import type { Binding } from '@/api/types';
import { revokeRole } from '@/features/access/query';
import { roleLabel, subjectLabel } from '@/features/access/words';
import { line } from '@/lib/safe';
import { Badge } from '@/ui/badge';
import { IconButton } from '@/ui/button';
import { Confirm } from '@/ui/dialog';
import { RelativeTime } from '@/ui/time';
import { done, failed } from '@/ui/toast';

interface BindingListProps {
  bindings: readonly Binding[];
  /** The list that they are of. */
  list?: string;
  /** Whether they can be taken. */
  may: boolean;
  /** Where they hold is not said: it is one place. */
  bare?: boolean;
}

/** Who has what, by which binding. */
export function BindingList({ bindings, list, may, bare = false }: BindingListProps) {
  const [taking, setTaking] = useState<Binding>();
  return (
    <>
      <ul>
        {bindings.map((binding) => (
          <li
            key={binding.id}
            className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-0"
          >
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium">{line(subjectLabel(binding), 120)}</span>
              <span className="block truncate text-xs text-soft">
                {!bare && `${binding.scope} · `}
                {binding.repositories.length > 0 && `${binding.repositories.join(', ')} · `}
                given <RelativeTime at={binding.granted_at} /> · binding{' '}
                <code className="font-mono">{binding.id.slice(0, 8)}</code>
              </span>
            </span>
            <Badge>{roleLabel(binding.role)}</Badge>
            {may && (
              <IconButton
                icon={Trash2}
                label={`Take the role ${roleLabel(binding.role)} from ${subjectLabel(binding)}`}
                onPress={() => setTaking(binding)}
              />
            )}
          </li>
        ))}
      </ul>
      <Confirm
        title="Take this role?"
        isOpen={taking !== undefined}
        onClose={() => setTaking(undefined)}
        action="Take it"
        danger
        onConfirm={async () => {
          if (!taking) return;
          try {
            await revokeRole(taking.id, list);
            done('Taken');
          } catch (error) {
            failed(error);
          }
        }}
      >
        {taking &&
          `${subjectLabel(taking)} is refused from then on, and what they watch live closes within five seconds. What they have by another binding stays.`}
      </Confirm>
    </>
  );
}
