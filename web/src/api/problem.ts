import type { components } from '@/api/generated';

export type Problem = components['schemas']['Problem'];
export type Missing = components['schemas']['Missing'];

/** A request that was refused or did not arrive, in the words of RFC 9457. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }

  get status(): number {
    return this.problem.status;
  }

  /** What is wrong with one field of the request. */
  field(name: string): string | undefined {
    return this.problem.errors?.find((error) => error.field === name)?.detail;
  }
}

/** The server could not be reached: no answer says why. */
export function unreachable(): ProblemError {
  return new ProblemError({
    type: 'about:blank',
    title: 'The server does not answer',
    status: 0,
    detail: 'Is `paddock up` still running?',
  });
}

export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof TypeError) return unreachable();
  const title = error instanceof Error ? error.message : 'Something went wrong';
  return new ProblemError({ type: 'about:blank', title, status: -1 });
}

/** The problem in an answer that is no success, whatever its body is. */
export function problemOf(status: number, body: unknown): Problem {
  if (typeof body === 'object' && body !== null && 'title' in body && 'status' in body) {
    return body as Problem;
  }
  return { type: 'about:blank', title: `The server answered ${status}`, status };
}
