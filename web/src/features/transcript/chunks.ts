/** A piece of Markdown that is read by itself. */
export interface Chunk {
  text: string;
  /** Shown as it is: to read it would take too long. */
  plain: boolean;
}

/** A chunk this long ends at the next place where it may. */
const ENOUGH = 1_000;
/** And this long at the end of its line. */
const LONG = 8_000;
/** More marks than these in a chunk are there to be slow: readers of Markdown try them against each other. */
const MARKS = 800;
/** Nobody means quotes or lists that are nested so deep. */
const NESTED = /(?:>[ \t]*){20}|(?:[-*+][ \t]+){20}/;

/**
 * Cuts Markdown where one part of it means nothing to the next. A text that grows changes its last chunks only,
 * and what is made to be slow to read is small, or not read.
 */
export function chunks(text: string): Chunk[] {
  const found: Chunk[] = [];
  let begin = 0;
  let place = 0;
  /** What ends the block of code that is open. */
  let fence: string | undefined;
  const cut = (end: number) => {
    if (end > begin) found.push(chunk(text.slice(begin, end)));
    begin = end;
  };
  while (place < text.length) {
    const stop = text.indexOf('\n', place);
    const end = stop < 0 ? text.length : stop + 1;
    const marker = /^ {0,3}(`{3,}|~{3,})/.exec(text.slice(place, Math.min(end, place + 200)))?.[1];
    if (marker && fence === undefined) fence = marker;
    else if (marker && fence !== undefined && marker.startsWith(fence)) fence = undefined;
    const length = end - begin;
    place = end;
    if (fence !== undefined) continue;
    const blank = text.slice(end, end + 1) === '\n';
    if (
      length >= LONG ||
      (length >= ENOUGH && blank && !/^\s/.test(text.slice(end + 1, end + 2)))
    ) {
      cut(end);
    }
  }
  cut(text.length);
  return found;
}

function chunk(text: string): Chunk {
  if (/^ {0,3}(`{3,}|~{3,})/.test(text)) return { text, plain: false };
  const marks = text.match(/[*_~[\]<>!\\]/g)?.length ?? 0;
  return { text, plain: text.length > 1.5 * LONG || marks > MARKS || NESTED.test(text) };
}
