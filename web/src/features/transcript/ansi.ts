/** A piece of text in one look. */
export interface Span {
  text: string;
  /** 0–15 of the terminal's palette, or a colour as `#rrggbb`. */
  color?: number | string;
  bold?: boolean;
  faint?: boolean;
  italic?: boolean;
  underline?: boolean;
}

type Look = Omit<Span, 'text'>;

// CSI (colours among others), OSC, DCS, SOS, PM and APC strings, and other escapes: only SGR is looked at.
const ESCAPE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for.
  /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b[\]PX^_][\s\S]*?(?:\u0007|\u001b\\|$)|\u001b[ -/]*[0-OQ-WYZ\\`-~]|\u009b[0-?]*[ -/]*[@-~]|\u001b\[?[0-?]*$/g;

/**
 * A terminal's output as text with colours. What moves the cursor, sets titles, makes links or talks to the
 * terminal is dropped; a line that is written over by carriage returns shows what it came to.
 */
export function spans(output: string): Span[] {
  const out: Span[] = [];
  let look: Look = {};
  let last = 0;
  const add = (raw: string) => {
    const text = clean(raw);
    if (text !== '') out.push({ text, ...look });
  };
  for (const match of output.matchAll(ESCAPE)) {
    add(output.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[2] === 'm') look = sgr(look, match[1] ?? '');
  }
  add(output.slice(last));
  return out;
}

/** The same without any look. */
export function plain(output: string): string {
  return clean(output.replace(ESCAPE, ''));
}

function clean(text: string): string {
  return text
    .replace(/\r+\n/g, '\n')
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\r', line.length - 2) + 1).replace(/\r$/, ''))
    .join('\n')
    .replace(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
      '',
    )
    .replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (character) => {
      return `⟨U+${character.charCodeAt(0).toString(16).toUpperCase()}⟩`;
    });
}

function sgr(before: Look, parameters: string): Look {
  const codes = parameters === '' ? [0] : parameters.split(/[;:]/).map(Number);
  let look = { ...before };
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index] ?? 0;
    if (code === 0) look = {};
    else if (code === 1) look.bold = true;
    else if (code === 2) look.faint = true;
    else if (code === 3) look.italic = true;
    else if (code === 4) look.underline = true;
    else if (code === 22) {
      delete look.bold;
      delete look.faint;
    } else if (code === 23) delete look.italic;
    else if (code === 24) delete look.underline;
    else if (code >= 30 && code <= 37) look.color = code - 30;
    else if (code >= 90 && code <= 97) look.color = code - 82;
    else if (code === 39) delete look.color;
    else if (code === 38 || code === 48) {
      const kind = codes[index + 1];
      const color =
        kind === 5
          ? indexed(codes[index + 2] ?? 0)
          : kind === 2
            ? rgb(codes, index + 2)
            : undefined;
      if (code === 38 && color !== undefined) look.color = color;
      index += kind === 5 ? 2 : kind === 2 ? 4 : 1;
    }
  }
  return look;
}

function hex(value: number): string {
  return Math.max(0, Math.min(255, value | 0))
    .toString(16)
    .padStart(2, '0');
}

function rgb(codes: number[], from: number): string {
  return `#${[0, 1, 2].map((offset) => hex(codes[from + offset] ?? 0)).join('')}`;
}

function indexed(value: number): number | string {
  if (value < 16) return Math.max(0, value | 0);
  if (value >= 232) return `#${hex(8 + (value - 232) * 10).repeat(3)}`;
  const level = (step: number) => hex(step === 0 ? 0 : 55 + step * 40);
  const cube = value - 16;
  return `#${level(Math.floor(cube / 36) % 6)}${level(Math.floor(cube / 6) % 6)}${level(cube % 6)}`;
}
