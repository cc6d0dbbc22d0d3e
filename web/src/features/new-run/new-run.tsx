import { useMutation, useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { Check, CircleAlert } from 'lucide-react';
import { useEffect, useId, useRef, useState } from 'react';
import { api, unwrap } from '@/api/client';
import { asProblem, type ProblemError } from '@/api/problem';
import { profilesQuery, readRun, sessionQuery } from '@/api/query';
import { CredentialPicker } from '@/features/new-run/credential';
import {
  repositoryIn,
  useBranches,
  useIssues,
  useRepository,
  useSettled,
} from '@/features/new-run/repository';
import { EGRESS } from '@/features/run/egress-words';
import { harmless, line } from '@/lib/safe';
import { duration } from '@/lib/time';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { Choice } from '@/ui/choice';
import { CONTROL, Field, Switch } from '@/ui/field';
import { Kbd } from '@/ui/kbd';
import { Spinner } from '@/ui/spinner';
import { ErrorState, Skeleton } from '@/ui/state';

const route = getRouteApi('/new');

/** Starts a run: of a new session, or a further one of a session that is there. */
export function NewRun() {
  const search = route.useSearch();
  return search.session ? (
    <FurtherRun id={search.session} />
  ) : (
    <RunForm key={JSON.stringify(search)} />
  );
}

function FurtherRun({ id }: { id: string }) {
  const session = useQuery(sessionQuery(id));
  if (session.isPending) return <Skeleton rows={4} />;
  if (session.isError) {
    return (
      <ErrorState error={session.error} what="the session" retry={() => void session.refetch()} />
    );
  }
  const { title, repo, branch, base } = session.data;
  return <RunForm session={{ id, title: title ?? branch, repo, branch, base }} />;
}

interface FormSession {
  id: string;
  title: string;
  repo: string;
  branch: string;
  base: string;
}

function RunForm({ session }: { session?: FormSession }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const [typed, setTyped] = useState(session?.repo ?? search.repo ?? '');
  const [issue, setIssue] = useState<number | undefined>(
    search.issue && /^\d+$/.test(search.issue) ? Number(search.issue) : undefined,
  );
  const [base, setBase] = useState(search.base ?? '');
  const [prompt, setPrompt] = useState(search.prompt ?? '');
  const [edited, setEdited] = useState(Boolean(search.prompt));
  const [profile, setProfile] = useState(search.profile ?? '');
  const [draft, setDraft] = useState(false);
  const [egress, setEgress] = useState<keyof typeof EGRESS>('github');
  const [why, setWhy] = useState('');
  const [credential, setCredential] = useState('');

  const found = repositoryIn(useSettled(typed));
  const repo = session?.repo ?? found?.repo;
  const repository = useRepository(session ? undefined : repo);
  const usable = repository.isSuccess ? repo : undefined;
  const branches = useBranches(session ? undefined : usable);
  const issues = useIssues(session ? undefined : usable);
  const profiles = useQuery(profilesQuery);
  // What the server takes where none is named.
  const chosenProfile = profiles.data?.items.find(({ name }) => name === (profile || 'default'));

  useEffect(() => {
    if (found?.issue) setIssue(Number(found.issue));
  }, [found?.issue]);

  // The issue speaks for itself; what somebody wrote by hand stays.
  const picked = issues.data?.items.find(({ number }) => number === issue);
  useEffect(() => {
    if (picked && !edited) setPrompt(promptOf(picked.number, picked.title));
  }, [picked, edited]);

  // A session that was made stays made: the next try starts a run of it.
  const made = useRef<{ id: string; stream: string; version: number } | undefined>(undefined);
  const start = useMutation<string, ProblemError>({
    mutationFn: async () => {
      let id = session?.id ?? made.current?.id;
      if (!id) {
        made.current = await unwrap(
          api.POST('/api/v1/sessions', {
            body: {
              repo: repo ?? typed.trim(),
              ...(base ? { base } : {}),
              ...(issue ? { issue } : {}),
              title: picked ? line(picked.title, 120) : line(prompt, 80),
            },
          }),
        );
        id = made.current.id;
      }
      const run = await unwrap(
        api.POST('/api/v1/sessions/{id}/runs', {
          params: { path: { id } },
          body: {
            prompt,
            ...(chosenProfile ? { profile: chosenProfile.name } : {}),
            ...(draft ? { draft } : {}),
            ...(credential ? { credential } : {}),
            ...(egress === 'full' ? { egress, egress_reason: why.trim() } : {}),
          },
        }),
      );
      await readRun(run.id, run);
      return run.id;
    },
    onSuccess: (id) => void navigate({ to: '/runs/$id', params: { id } }),
  });
  const problem = start.error ? asProblem(start.error) : undefined;
  const submit = () => {
    const reasoned = egress !== 'full' || why.trim() !== '';
    if (!start.isPending && prompt.trim() !== '' && reasoned && (session || repo)) start.mutate();
  };

  return (
    <form
      className="mx-auto flex max-w-3xl flex-col gap-5 px-4 py-6"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          submit();
        }
      }}
    >
      <header>
        <h1 className="text-xl font-semibold">{session ? 'Another run' : 'New run'}</h1>
        <p className="text-soft">
          {session ? (
            <>
              It goes on where “{line(session.title, 80)}” is, on{' '}
              <code className="font-mono text-xs">{session.branch}</code> of {session.repo}.
            </>
          ) : (
            'An agent works on it in a sandbox of its own and delivers a pull request.'
          )}
        </p>
      </header>
      <Card className="flex flex-col gap-4 p-4">
        {!session && (
          <>
            <Field
              label="Repository"
              placeholder="owner/name"
              value={typed}
              onChange={setTyped}
              autoFocus={!search.repo}
              autoComplete="off"
              spellCheck="false"
              error={
                problem?.field('repo') ??
                (repository.isError ? asProblem(repository.error).message : undefined)
              }
              hint={<RepositoryNote typed={typed} repo={repo} repository={repository} />}
            />
            <div className="grid gap-4 sm:grid-cols-2">
              <IssuePicker
                disabled={!usable}
                issues={issues.data?.items ?? []}
                issue={issue}
                onChange={(number) => setIssue(number)}
                error={problem?.field('issue')}
              />
              <BranchPicker
                disabled={!usable}
                branches={branches.data?.items.map(({ name }) => name) ?? []}
                initial={repository.data?.default_branch ?? ''}
                value={base}
                onChange={setBase}
                error={problem?.field('base')}
              />
            </div>
          </>
        )}
        <Field
          label="What is to be done"
          placeholder="Fix the greeting for names with an apostrophe, and add a test."
          value={prompt}
          onChange={(text) => {
            setPrompt(text);
            setEdited(text !== '');
          }}
          rows={6}
          error={problem?.field('prompt')}
          autoFocus={Boolean(session)}
          hint={
            picked?.body ? (
              <details>
                <summary className="cursor-pointer">The issue says</summary>
                <p className="mt-1 max-h-48 overflow-auto whitespace-pre-wrap">
                  {harmless(picked.body)}
                </p>
              </details>
            ) : (
              'The agent can read the issue and the repository.'
            )
          }
        />
      </Card>
      <Card className="grid gap-4 p-4 sm:grid-cols-2">
        <Choice
          label="Profile"
          options={(profiles.data?.items ?? []).map(({ name, description }) => ({
            id: name,
            label: name,
            detail: description,
          }))}
          value={chosenProfile?.name ?? ''}
          onChange={setProfile}
          hint={
            chosenProfile && (
              <>
                At most {duration(chosenProfile.deadline_seconds * 1_000)},{' '}
                {chosenProfile.memory_mib} MiB of memory;{' '}
                {chosenProfile.linger_seconds === 0
                  ? 'ends with its turn'
                  : `stays ${duration(chosenProfile.linger_seconds * 1_000)} after its turn`}
                , and stays {duration(chosenProfile.attended_linger_seconds * 1_000)} after a
                further prompt.
              </>
            )
          }
        />
        <Choice
          label="Way out"
          options={(['github', 'full'] as const).map((id) => ({ id, ...EGRESS[id] }))}
          value={egress}
          onChange={(mode) => setEgress(mode === 'full' ? 'full' : 'github')}
          hint={EGRESS[egress].detail}
        />
        <CredentialPicker value={credential} onChange={setCredential} />
        {egress === 'full' && (
          <Field
            label="Why it is to reach more than GitHub"
            value={why}
            onChange={setWhy}
            maxLength={1_000}
            isRequired
            hint="Kept on the record, with your name."
          />
        )}
        <Switch selected={draft} onChange={setDraft}>
          Open the pull request as a draft
        </Switch>
      </Card>
      {problem && !problem.problem.errors?.length && (
        <p
          role="alert"
          className="flex items-start gap-2 rounded-lg bg-bad-soft px-3 py-2 text-bad"
        >
          <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
          {problem.message}
        </p>
      )}
      <div className="flex items-center gap-3">
        <Button
          look="primary"
          type="submit"
          busy={start.isPending}
          isDisabled={prompt.trim() === '' || !(session || repo)}
        >
          Start the run
        </Button>
        <span className="text-xs text-soft max-sm:hidden">
          <Kbd keys="Ctrl Enter" />
        </span>
      </div>
    </form>
  );
}

function promptOf(number: number, title: string): string {
  return `Resolve issue #${number}: ${line(title, 300)}`;
}

interface RepositoryNoteProps {
  typed: string;
  repo: string | undefined;
  repository: ReturnType<typeof useRepository>;
}

function RepositoryNote({ typed, repo, repository }: RepositoryNoteProps) {
  if (typed.trim() === '') return 'As owner/name, or paste the address of an issue.';
  if (!repo) return 'That is not owner/name yet.';
  if (repository.isPending) return <Spinner label="Looking" />;
  if (!repository.data) return null;
  const { can_push: canPush, why_not: why, private: isPrivate } = repository.data;
  return canPush ? (
    <span className="flex items-center gap-1 text-good">
      <Check aria-hidden className="size-3.5" />
      {isPrivate ? 'Private, and ' : 'Public, and '}Paddock may push to it
    </span>
  ) : (
    <span className="flex items-center gap-1 text-bad">
      <CircleAlert aria-hidden className="size-3.5" />
      Paddock may not push to it{why ? `: ${why}` : ''}
    </span>
  );
}

interface IssuePickerProps {
  disabled: boolean;
  issues: { number: number; title: string }[];
  issue: number | undefined;
  onChange(issue: number | undefined): void;
  error: string | undefined;
}

function IssuePicker({ disabled, issues, issue, onChange, error }: IssuePickerProps) {
  const id = useId();
  const known = issue === undefined || issues.some(({ number }) => number === issue);
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        Issue
      </label>
      <select
        id={id}
        disabled={disabled}
        value={issue ?? ''}
        onChange={({ target }) => onChange(target.value ? Number(target.value) : undefined)}
        aria-invalid={error !== undefined}
        aria-describedby={error ? `${id}-error` : undefined}
        className={CONTROL}
      >
        <option value="">None</option>
        {!known && <option value={issue}>#{issue}</option>}
        {issues.map(({ number, title }) => (
          <option key={number} value={number}>
            #{number} {line(title, 100)}
          </option>
        ))}
      </select>
      {error && (
        <span id={`${id}-error`} className="text-xs text-bad">
          {error}
        </span>
      )}
    </div>
  );
}

interface BranchPickerProps {
  disabled: boolean;
  branches: string[];
  initial: string;
  value: string;
  onChange(branch: string): void;
  error: string | undefined;
}

function BranchPicker({ disabled, branches, initial, value, onChange, error }: BranchPickerProps) {
  const id = useId();
  const unknown = value !== '' && branches.length > 0 && !branches.includes(value);
  const wrong = error ?? (unknown ? 'There is no such branch' : undefined);
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        Base branch
      </label>
      <input
        id={id}
        list={`${id}-list`}
        disabled={disabled}
        value={value}
        onChange={({ target }) => onChange(target.value)}
        placeholder={initial}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong ? `${id}-error` : undefined}
        className={CONTROL}
      />
      <datalist id={`${id}-list`}>
        {branches.map((branch) => (
          <option key={branch} value={branch} />
        ))}
      </datalist>
      {wrong && (
        <span id={`${id}-error`} className="text-xs text-bad">
          {wrong}
        </span>
      )}
    </div>
  );
}
