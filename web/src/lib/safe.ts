/**
 * Text of an agent, a repository or a forge, made harmless to read: directions and invisible characters
 * that would make it look like other text are shown as what they are, controls are dropped.
 */
export function harmless(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu,
    (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code < 0xa0 ? '' : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
    },
  );
}

/** One line of it, cut to a length. */
export function line(text: string, most = 200): string {
  const first = harmless(text.slice(0, most * 4))
    .replace(/\s+/g, ' ')
    .trim();
  return first.length > most ? `${first.slice(0, most - 1)}…` : first;
}

/** The address, if it is one that a link may lead to. */
export function webAddress(url: string): string | undefined {
  try {
    const parsed = new URL(url);
    return parsed.protocol === 'https:' || parsed.protocol === 'http:' ? parsed.href : undefined;
  } catch {
    return undefined;
  }
}
