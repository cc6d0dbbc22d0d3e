import { unwell, useSystem } from '@/features/system/query';

/** In the navigation: that something is not well, whichever screen is shown. */
export function SystemBadge() {
  const system = useSystem();
  const names = unwell(system.data?.parts ?? []);
  if (names === '') return null;
  return (
    <>
      <span aria-hidden className="size-2 rounded-full bg-bad" />
      <span className="sr-only">, not well: {names}</span>
    </>
  );
}
