import { describe, expect, it } from 'vitest';
import type { Credential } from '@/api/types';
import { ownerLabel, standing } from '@/features/credentials/words';

const said = (outcome: 'works' | 'refused' | 'unknown', push: boolean | null) =>
  ({ at: '2026-01-01T00:00:00Z', repo: 'a/b', outcome, push, words: 'w' }) as const;

const label = (state: Credential['state'], verified: NonNullable<Credential['verified']> | null) =>
  standing({ state, verified }).label;

describe('how a credential stands', () => {
  it('is what the forge said last, where it can be used at all', () => {
    expect(label('active', said('works', true))).toBe('Works');
    expect(label('active', said('works', false))).toBe('Read only');
    expect(label('active', said('refused', null))).toBe('Refused');
    expect(label('active', said('unknown', null))).toBe('Could not verify');
    expect(label('active', null)).toBe('Not verified');
    expect(label('expired', said('works', true))).toBe('Expired');
    expect(label('revoked', said('works', true))).toBe('Revoked');
  });

  it('names its owner, or says that it is shared', () => {
    expect(ownerLabel({ owner: null, owner_name: null })).toBe('Shared');
    expect(ownerLabel({ owner: 'user:1', owner_name: 'Ada' })).toBe('Ada');
    expect(ownerLabel({ owner: 'user:1', owner_name: null })).toBe('user:1');
  });
});
