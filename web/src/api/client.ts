import createClient, { type Middleware } from 'openapi-fetch';
import type { paths } from '@/api/generated';
import { ProblemError, problemOf, unreachable } from '@/api/problem';

// A command that is sent again, because nobody knows whether it arrived, is carried out once.
const idempotent: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET') request.headers.set('Idempotency-Key', crypto.randomUUID());
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' });
api.use(idempotent);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws a {@link ProblemError} where there is none. */
export async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  let settled: Answer<T>;
  try {
    settled = await answer;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw unreachable();
  }
  const { data, error, response } = settled;
  if (!response.ok) throw new ProblemError(problemOf(response.status, error));
  return data as T;
}

/** What a command answered: reads wait for it with `at_least`. */
export interface Accepted {
  id: string;
  stream: string;
  version: number;
}

export function atLeast(accepted: Accepted): string {
  return `${accepted.stream}@${accepted.version}`;
}
