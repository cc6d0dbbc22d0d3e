/** What a field of numbers holds: nothing where that is allowed, or a whole number. */
export function whole(text: string): number | undefined {
  return /^\d{1,9}$/.test(text.trim()) ? Number(text.trim()) : undefined;
}

/**
 * Reads fields that are to be whole numbers; what is wrong with each that is not. Whether they are in range says the
 * server.
 */
export function readNumbers<K extends string>(
  fields: Record<K, string>,
  optional: readonly NoInfer<K>[] = [],
): { numbers: Record<K, number | null>; errors: Map<string, string> } {
  const numbers = {} as Record<K, number | null>;
  const errors = new Map<string, string>();
  for (const name of Object.keys(fields) as K[]) {
    const text = fields[name].trim();
    const number = whole(text);
    if (text === '' && optional.includes(name)) numbers[name] = null;
    else if (number === undefined) errors.set(name, 'must be a whole number');
    else numbers[name] = number;
  }
  return { numbers, errors };
}
