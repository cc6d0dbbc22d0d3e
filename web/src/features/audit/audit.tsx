import { useNavigate, useSearch } from '@tanstack/react-router';
import { Download } from 'lucide-react';
import { useMay } from '@/features/access/query';
import { EventDetail } from '@/features/audit/event-detail';
import { EventList } from '@/features/audit/event-list';
import { FilterForm } from '@/features/audit/filter-form';
import { SignedCard } from '@/features/audit/held';
import type { Filter } from '@/features/audit/query';

/** The record of everything: what happened, why, and whether it is what was signed. */
export function Audit() {
  const search = useSearch({ from: '/audit' });
  const navigate = useNavigate({ from: '/audit' });
  const exports = useMay('audit.export');
  const { event, ...filter } = search;
  const position = event && /^[0-9]+$/.test(event) ? Number(event) : undefined;
  const show = (filter: Filter) => void navigate({ search: filter });
  const open = (position: number | undefined) =>
    void navigate({ search: position ? { ...filter, event: String(position) } : filter });
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-5 px-4 py-6">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">Record</h1>
        {exports && (
          <a
            href="/api/v1/audit/export"
            download
            className="inline-flex h-8 items-center gap-1.5 rounded-md border border-line-strong/60 bg-surface px-3 text-sm font-medium hover:bg-sunken"
          >
            <Download aria-hidden className="size-4" />
            Take it out as a file
          </a>
        )}
      </div>
      <SignedCard />
      <FilterForm key={JSON.stringify(filter)} filter={filter} onChange={show} />
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]">
        <EventList filter={filter} chosen={position} onOpen={open} />
        {position !== undefined && (
          <EventDetail
            key={position}
            position={position}
            onOpen={open}
            onFilter={show}
            onClose={() => open(undefined)}
          />
        )}
      </div>
    </div>
  );
}
