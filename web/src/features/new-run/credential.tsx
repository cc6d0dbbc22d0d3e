import { useQuery } from '@tanstack/react-query';
import { credentialsQuery } from '@/features/credentials/query';
import { ownerLabel, standing } from '@/features/credentials/words';
import { Choice } from '@/ui/choice';

const INSTALLATION = 'installation';

interface CredentialPickerProps {
  /** A credential's id, the installation's own, or nothing: what the server takes by itself. */
  value: string;
  onChange(value: string): void;
}

/** Which credential the run carries to the forge. Not there where there is nothing to choose from. */
export function CredentialPicker({ value, onChange }: CredentialPickerProps) {
  const list = useQuery(credentialsQuery);
  const usable = list.data?.filter(({ allowed_actions }) => allowed_actions.includes('use')) ?? [];
  if (usable.length === 0) return null;
  const byItself = usable.find(({ is_default }) => is_default)?.id ?? INSTALLATION;
  return (
    <Choice
      label="Credential"
      options={[
        ...usable.map((credential) => ({
          id: credential.id,
          label: credential.name,
          detail: `${ownerLabel(credential)} · ${standing(credential).label}`,
        })),
        { id: INSTALLATION, label: 'The installation’s own', detail: 'Its configured token' },
      ]}
      value={value || byItself}
      onChange={onChange}
      hint="What the run carries to the forge. It never enters the sandbox."
    />
  );
}
