import { BadgeCheck, RefreshCw, Trash2, Users } from 'lucide-react';
import { useState } from 'react';
import type { Credential } from '@/api/types';
import { revoke, verify } from '@/features/credentials/query';
import { RotateCredential } from '@/features/credentials/rotate';
import { CredentialUse } from '@/features/credentials/use';
import { kindLabel, ownerLabel, standing } from '@/features/credentials/words';
import { Badge } from '@/ui/badge';
import { Button } from '@/ui/button';
import { Card } from '@/ui/card';
import { Confirm } from '@/ui/dialog';
import { RelativeTime } from '@/ui/time';
import { failed } from '@/ui/toast';

/** One credential, and what may be done with it. */
export function CredentialCard({ credential }: { credential: Credential }) {
  const [open, setOpen] = useState<'rotate' | 'revoke'>();
  const [shown, setShown] = useState(false);
  const [verifying, setVerifying] = useState(false);
  const may = (action: Credential['allowed_actions'][number]) =>
    credential.allowed_actions.includes(action);
  const { label, tone } = standing(credential);
  const { name } = credential;
  return (
    <Card
      title={name}
      aside={
        <span className="flex items-center gap-2">
          {credential.is_default && <Badge tone="accent">Your runs carry it</Badge>}
          <Badge tone={tone}>{label}</Badge>
        </span>
      }
    >
      <div className="flex flex-col gap-3 p-4">
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-sm">
          <dt className="text-soft">Kind</dt>
          <dd>{kindLabel(credential)}</dd>
          <dt className="text-soft">Whose</dt>
          <dd className="truncate">{ownerLabel(credential)}</dd>
          <dt className="text-soft">Value</dt>
          <dd>
            generation {credential.generation}, since <RelativeTime at={credential.value_since} />
          </dd>
          <dt className="text-soft">Ends</dt>
          <dd>
            {credential.revoked_at ? (
              <>
                revoked <RelativeTime at={credential.revoked_at} />
              </>
            ) : credential.expires_at ? (
              <RelativeTime at={credential.expires_at} />
            ) : (
              'the forge names no time'
            )}
          </dd>
          <dt className="text-soft">Forge</dt>
          <dd aria-live="polite">
            {credential.verified ? (
              <>
                {credential.verified.words} (asked <RelativeTime at={credential.verified.at} />)
              </>
            ) : (
              'was not asked about this value yet'
            )}
          </dd>
        </dl>
        <div className="flex flex-wrap gap-2">
          {may('verify') && (
            <Button
              icon={BadgeCheck}
              busy={verifying}
              aria-label={`Verify ${name}`}
              onPress={async () => {
                setVerifying(true);
                try {
                  await verify(credential.id, '');
                } catch (error) {
                  failed(error);
                } finally {
                  setVerifying(false);
                }
              }}
            >
              Verify
            </Button>
          )}
          {may('rotate') && (
            <Button
              icon={RefreshCw}
              aria-label={`Rotate ${name}`}
              onPress={() => setOpen('rotate')}
            >
              Rotate
            </Button>
          )}
          {may('revoke') && (
            <Button
              icon={Trash2}
              look="danger"
              aria-label={`Revoke ${name}`}
              onPress={() => setOpen('revoke')}
            >
              Revoke
            </Button>
          )}
          <Button
            icon={Users}
            aria-expanded={shown}
            aria-label={`Who may use ${name}, and where it was used`}
            onPress={() => setShown(!shown)}
          >
            Who and where
          </Button>
        </div>
        {shown && <CredentialUse credential={credential} mayShare={may('share')} />}
      </div>
      <RotateCredential
        credential={credential}
        isOpen={open === 'rotate'}
        onClose={() => setOpen(undefined)}
      />
      <Confirm
        title={`Revoke ${name}?`}
        isOpen={open === 'revoke'}
        onClose={() => setOpen(undefined)}
        action="Revoke it"
        danger
        onConfirm={async () => {
          try {
            await revoke(credential.id);
          } catch (error) {
            failed(error);
          }
        }}
      >
        Runs that carry it get nothing from the forge any more, at once, and it cannot be brought
        back. On GitHub the token itself stays until you end it there.
      </Confirm>
    </Card>
  );
}
