import type { Credential } from '@/api/types';
import type { Tone } from '@/ui/badge';

const KINDS: Record<Credential['kind'], string> = {
  pat: 'Fine-grained token',
  classic_pat: 'Classic token',
  app: 'GitHub App',
};

export function kindLabel(credential: Credential): string {
  const kind = KINDS[credential.kind];
  return credential.app ? `${kind} ${credential.app}` : kind;
}

/** Whose it is, for people. */
export function ownerLabel(credential: Pick<Credential, 'owner' | 'owner_name'>): string {
  return credential.owner_name ?? credential.owner ?? 'Shared';
}

/** How it stands, in a word: what the forge said last counts where it can be used at all. */
export function standing(credential: Pick<Credential, 'state' | 'verified'>): {
  label: string;
  tone: Tone;
} {
  if (credential.state === 'revoked') return { label: 'Revoked', tone: 'neutral' };
  if (credential.state === 'expired') return { label: 'Expired', tone: 'bad' };
  const said = credential.verified;
  if (!said) return { label: 'Not verified', tone: 'attention' };
  if (said.outcome === 'refused') return { label: 'Refused', tone: 'bad' };
  if (said.outcome === 'unknown') return { label: 'Could not verify', tone: 'attention' };
  if (said.push === false) return { label: 'Read only', tone: 'attention' };
  return { label: 'Works', tone: 'good' };
}
