import { api, unwrap } from '@/api/client';
import { readRun, readSession } from '@/api/query';

const path = (id: string) => ({ params: { path: { id } } });

export async function cancelRun(id: string): Promise<void> {
  await readRun(id, await unwrap(api.POST('/api/v1/runs/{id}/cancel', path(id))));
}

export async function interruptRun(id: string): Promise<void> {
  await readRun(id, await unwrap(api.POST('/api/v1/runs/{id}/interrupt', path(id))));
}

export async function finishRun(id: string): Promise<void> {
  await readRun(id, await unwrap(api.POST('/api/v1/runs/{id}/finish', path(id))));
}

export async function publishRun(id: string): Promise<void> {
  await readRun(id, await unwrap(api.POST('/api/v1/runs/{id}/publish', path(id))));
}

export async function setEgress(
  id: string,
  mode: 'github' | 'full',
  reason?: string,
): Promise<void> {
  const body = { mode, ...(reason ? { reason } : {}) };
  await readRun(id, await unwrap(api.PUT('/api/v1/runs/{id}/egress', { ...path(id), body })));
}

export async function promptRun(id: string, prompt: string): Promise<void> {
  const accepted = await unwrap(
    api.POST('/api/v1/runs/{id}/prompts', { ...path(id), body: { prompt } }),
  );
  await readRun(id, accepted);
}

export async function archiveSession(id: string): Promise<void> {
  await readSession(id, await unwrap(api.POST('/api/v1/sessions/{id}/archive', path(id))));
}

export async function restoreSession(id: string): Promise<void> {
  await readSession(id, await unwrap(api.POST('/api/v1/sessions/{id}/restore', path(id))));
}

export async function renameSession(id: string, title: string): Promise<void> {
  const accepted = await unwrap(
    api.PATCH('/api/v1/sessions/{id}', { ...path(id), body: { title } }),
  );
  await readSession(id, accepted);
}

export async function deleteSession(id: string): Promise<void> {
  await unwrap(api.DELETE('/api/v1/sessions/{id}', path(id)));
}

/** Begins a session from a bundle of this one; gives back its id. */
export async function forkSession(id: string, title: string, bundle?: string): Promise<string> {
  const accepted = await unwrap(
    api.POST('/api/v1/sessions/{id}/fork', {
      ...path(id),
      body: { title, ...(bundle ? { bundle } : {}) },
    }),
  );
  await readSession(accepted.id, accepted);
  return accepted.id;
}
