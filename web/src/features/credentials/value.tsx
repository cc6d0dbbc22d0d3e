import { Field } from '@/ui/field';

interface ValueFieldProps {
  /** An app's key, in place of a token. */
  app: boolean;
  value: string;
  onChange(value: string): void;
  error: string | undefined;
}

/** A secret: not shown while it is typed, not offered again by the browser. */
export function ValueField({ app, value, onChange, error }: ValueFieldProps) {
  return app ? (
    <Field
      label="Private key"
      rows={4}
      mono
      value={value}
      onChange={onChange}
      placeholder="-----BEGIN RSA PRIVATE KEY-----"
      autoComplete="off"
      spellCheck="false"
      hint="The whole file that GitHub made for the app. It is not shown again."
      error={error}
    />
  ) : (
    <Field
      label="Token"
      type="password"
      mono
      value={value}
      onChange={onChange}
      placeholder="github_pat_…"
      autoComplete="new-password"
      hint="It is not shown again."
      error={error}
    />
  );
}
