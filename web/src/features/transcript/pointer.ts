/** What is at a JSON pointer. */
export function at(value: unknown, pointer: string): unknown {
  let here = value;
  for (const key of pointer.split('/').slice(1)) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = (here as Record<string, unknown>)[key];
  }
  return here;
}

/** The same with a string at a JSON pointer, if there is a place for it. */
export function put(
  value: Record<string, unknown>,
  pointer: string,
  to: string,
): Record<string, unknown> {
  const [, key = '', ...rest] = pointer.split('/');
  if (rest.length === 0) return { ...value, [key]: to };
  const inner = value[key];
  // Where nothing holds it, there is no place for it.
  if (typeof inner !== 'object' || inner === null) return value;
  return { ...value, [key]: put(inner as Record<string, unknown>, `/${rest.join('/')}`, to) };
}
