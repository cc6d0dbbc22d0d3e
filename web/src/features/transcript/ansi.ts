import { harmless } from '@/lib/safe';

/** A piece of text in one look. */
export interface Span {
  text: string;
  /** 0–15 of the terminal's palette: other colours are the nearest of these. */
  color?: number;
  bold?: boolean;
  faint?: boolean;
  italic?: boolean;
  underline?: boolean;
}

type Look = Omit<Span, 'text'>;

// CSI (colours among others); OSC, DCS, SOS, PM and APC strings; other escapes. Only SGR is looked at. A string
// without an end ends with its line: it hides no more.
const ESCAPE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for.
  /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b[\]PX^_][^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-OQ-WYZ\\`-~]|\u009b[0-?]*[ -/]*[@-~]|\u001b\[?[0-?]*$/g;

/** More looks than these in one text are there to be slow: what comes behind looks like the last. */
const MOST_SPANS = 4_000;

/**
 * A terminal's output as text with colours. What moves the cursor, sets titles, makes links or talks to the
 * terminal is dropped; a line that is written over from its beginning shows what it came to.
 */
export function spans(output: string): Span[] {
  const out: Span[] = [];
  let look: Look = {};
  /** Where the current line begins in `out`. */
  let begin = 0;
  /** The cursor is back at the line's beginning: what comes next is written over it. */
  let returned = false;
  const write = (raw: string) => {
    const text = harmless(raw);
    if (text === '') return;
    if (returned) out.length = begin;
    returned = false;
    const last = out.at(-1);
    if (last && out.length > begin && (same(last, look) || out.length >= MOST_SPANS)) {
      last.text += text;
    } else out.push({ text, ...look });
  };
  const add = (raw: string) => {
    for (const [piece] of raw.matchAll(/\r+\n?|\n|[^\r\n]+/g)) {
      if (piece.endsWith('\n')) {
        returned = false;
        const last = out.at(-1);
        if (last) last.text += '\n';
        else out.push({ text: '\n', ...look });
        begin = out.length;
      } else if (piece.startsWith('\r')) returned = true;
      else write(piece);
    }
  };
  let last = 0;
  for (const match of output.matchAll(ESCAPE)) {
    add(output.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[2] === 'm') look = sgr(look, match[1] ?? '');
  }
  add(output.slice(last));
  return joined(out);
}

/** The same without any look. */
export function plain(output: string): string {
  return spans(output)
    .map(({ text }) => text)
    .join('');
}

/** With one span where neighbours look alike, which lines have kept apart. */
function joined(all: readonly Span[]): Span[] {
  const out: Span[] = [];
  for (const span of all) {
    const last = out.at(-1);
    if (last && (same(last, span) || out.length >= MOST_SPANS)) last.text += span.text;
    else out.push(span);
  }
  return out;
}

function same(one: Look, other: Look): boolean {
  return (
    one.color === other.color &&
    one.bold === other.bold &&
    one.faint === other.faint &&
    one.italic === other.italic &&
    one.underline === other.underline
  );
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

function rgb(codes: number[], from: number): number {
  const [red = 0, green = 0, blue = 0] = codes.slice(from, from + 3);
  return nearest(red, green, blue);
}

function indexed(value: number): number {
  if (value < 16) return Math.max(0, value | 0);
  if (value >= 232) return value < 244 ? 8 : 7;
  const cube = value - 16;
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  return nearest(
    level(Math.floor(cube / 36) % 6),
    level(Math.floor(cube / 6) % 6),
    level(cube % 6),
  );
}

/** One of the palette's, whose colours can be read on either ground. */
function nearest(red: number, green: number, blue: number): number {
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 40) return most < 150 ? 8 : 7;
  const middle = (most + least) / 2;
  return (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0);
}
