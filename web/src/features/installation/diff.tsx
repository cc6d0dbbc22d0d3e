import type { FieldChange } from '@/api/types';
import { line } from '@/lib/safe';

/** What changes, a line each: what it was, what it is. */
export function Diff({ changes }: { changes: readonly FieldChange[] }) {
  return (
    <table className="w-full border-separate border-spacing-y-1 text-sm">
      <caption className="sr-only">What changes</caption>
      <thead className="sr-only">
        <tr>
          <th>Field</th>
          <th>Before</th>
          <th>After</th>
        </tr>
      </thead>
      <tbody>
        {changes.map(({ field, old, new: next }) => (
          <tr key={`${field} ${shown(old)} ${shown(next)}`} className="align-top">
            <th scope="row" className="pr-3 text-left font-mono text-xs font-normal text-soft">
              {line(field, 80)}
            </th>
            <td className="w-2/5 pr-2">
              <Value value={old} look="bg-bad-soft text-bad" sign="−" />
            </td>
            <td className="w-2/5">
              <Value value={next} look="bg-good-soft text-good" sign="+" />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Value({ value, look, sign }: { value: unknown; look: string; sign: string }) {
  if (value === null || value === undefined) return <span className="text-faint">not set</span>;
  return (
    <code className={`block rounded px-1.5 py-0.5 font-mono text-xs break-all ${look}`}>
      <span aria-hidden>{sign} </span>
      {shown(value)}
    </code>
  );
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
