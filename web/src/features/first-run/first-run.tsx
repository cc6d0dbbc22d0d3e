import { useNavigate } from '@tanstack/react-router';
import { Play, Plus, Rocket } from 'lucide-react';
import { useMay } from '@/features/access/query';
import { Steps } from '@/features/first-run/steps';
import { NAMES, useSystem } from '@/features/system/query';
import { Button } from '@/ui/button';
import { EmptyState } from '@/ui/state';

/** Nothing was ever started here: the way to a first pull request. */
export function FirstRun() {
  const system = useSystem();
  const navigate = useNavigate();
  const begins = useMay('session.create');
  const demo = system.data?.demo;
  const parts = system.data?.parts ?? [];
  // Outside the demo the model and the forge are steps of their own.
  const wrong = parts.filter(
    ({ ok, name }) => !ok && (demo || (name !== 'model' && name !== 'forge')),
  );
  if (!begins) {
    return (
      <EmptyState icon={Rocket} title="No session that you may see">
        You see the sessions that are shared with you, or with a group of yours. To start runs you
        need the role maintainer; an admin gives it.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      icon={Rocket}
      title={demo ? 'See an agent fix a bug' : 'Start your first run'}
      action={
        demo ? (
          <Button
            look="primary"
            icon={Play}
            autoFocus
            onPress={() =>
              void navigate({ to: '/new', search: { repo: demo.repo, issue: String(demo.issue) } })
            }
          >
            Try the sample issue
          </Button>
        ) : (
          <Button
            look="primary"
            icon={Plus}
            autoFocus
            onPress={() => void navigate({ to: '/new' })}
          >
            New run
          </Button>
        )
      }
    >
      {demo ? (
        <p>
          This installation has a forge, a repository with a bug and a scripted model of its own: no
          account, no key. A real OpenCode works on the issue and opens a pull request, in about
          twenty seconds.
        </p>
      ) : (
        <>
          <p>
            Point Paddock at a repository and an issue. An agent works on it and delivers a pull
            request.
          </p>
          {system.data && <Steps parts={parts} />}
        </>
      )}
      {wrong.length > 0 && (
        <ul className="mt-4 flex flex-col gap-2 text-left text-sm">
          {wrong.map((part) => (
            <li key={part.name} className="rounded-md bg-attention-soft px-3 py-2 text-attention">
              <strong className="font-semibold">{NAMES[part.name]?.label ?? part.name}</strong>:{' '}
              {part.detail}
              {part.action && <span className="block text-text">{part.action}</span>}
            </li>
          ))}
        </ul>
      )}
    </EmptyState>
  );
}
