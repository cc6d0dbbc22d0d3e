import { useQuery } from '@tanstack/react-query';
import { Check, CircleHelp, X } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { Field } from '@/ui/field';
import { ErrorState, Skeleton } from '@/ui/state';

interface Question {
  action: string;
  resource: string;
  subject: string;
}

/** Who can do this, and why. */
export function Explain() {
  const [asked, setAsked] = useState<Question>();
  const [action, setAction] = useState('session.create');
  const [resource, setResource] = useState('');
  const [subject, setSubject] = useState('');
  return (
    <Card title="Who can do this, and why">
      <form
        className="flex flex-wrap items-end gap-2 p-4"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked({ action: action.trim(), resource: resource.trim(), subject: subject.trim() });
        }}
      >
        <Field
          label="Action"
          value={action}
          onChange={setAction}
          mono
          placeholder="run.start"
          className="min-w-40 flex-1"
        />
        <Field
          label="On"
          value={resource}
          onChange={setResource}
          mono
          placeholder="installation, repository:acme/widget, session:…"
          className="min-w-56 flex-2"
        />
        <Field
          label="By (you, if nobody)"
          value={subject}
          onChange={setSubject}
          mono
          placeholder="group:platform"
          className="min-w-40 flex-1"
        />
        <Button
          type="submit"
          look="primary"
          icon={CircleHelp}
          isDisabled={!action.trim() || !resource.trim()}
        >
          Explain
        </Button>
      </form>
      {asked && <Answer question={asked} />}
    </Card>
  );
}

function Answer({ question: { action, resource, subject } }: { question: Question }) {
  const why = useQuery({
    queryKey: ['explain', action, resource, subject],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/api/v1/access/explain', {
          params: { query: { action, resource, ...(subject ? { subject } : {}) } },
          signal,
        }),
      ),
    staleTime: 0,
  });
  if (why.isPending) return <Skeleton rows={2} />;
  if (why.isError) {
    return <ErrorState error={why.error} what="the explanation" retry={() => void why.refetch()} />;
  }
  const { allowed, because, missing, who } = why.data;
  return (
    <div role="status" className="flex flex-col gap-3 border-t border-line p-4">
      <p className="flex items-start gap-2">
        {allowed ? (
          <Check aria-hidden className="mt-0.5 size-4 shrink-0 text-good" />
        ) : (
          <X aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
        )}
        <span>
          <strong>{allowed ? 'Yes' : 'No'}</strong>: <code>{why.data.subject}</code>{' '}
          {allowed ? 'may' : 'may not'} <code>{action}</code> on <code>{resource}</code>
          {missing && ` — it takes the role ${missing.role} in ${missing.scope} or a wider scope`}
        </span>
      </p>
      {because.length > 0 && (
        <ul className="list-disc pl-8 text-sm">
          {because.map((reason) => (
            <li key={reason.words}>{reason.words}</li>
          ))}
        </ul>
      )}
      {who && (
        <section aria-label="Who may" className="text-sm">
          <h3 className="font-medium">{who.length > 0 ? 'Who may' : 'Nobody may'}</h3>
          <ul className="list-disc pl-8 text-soft">
            {who.map((holder) => (
              <li key={`${holder.subject} ${holder.because.words}`}>
                {holder.subject && <code>{holder.subject}</code>} {holder.because.words}
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}
