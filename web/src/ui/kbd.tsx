/** Keys, as they are data-pressed: "Ctrl K", "g s". */
export function Kbd({ keys }: { keys: string }) {
  return (
    <kbd className="inline-flex gap-0.5 font-sans text-2xs text-soft">
      {keys.split(' ').map((key, index) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: the keys of one shortcut never change.
          key={`${index}${key}`}
          className="min-w-4 rounded border border-line bg-sunken px-1 text-center leading-4"
        >
          {key}
        </span>
      ))}
    </kbd>
  );
}
