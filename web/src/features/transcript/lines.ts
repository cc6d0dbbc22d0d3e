/** The text in lines of at most a width: where each begins and ends, so that nothing is copied. */
export interface Lines {
  readonly count: number;
  line(index: number): string;
}

/** Breaks a text into lines; one that is too long becomes several. */
export function lines(text: string, width: number): Lines {
  let starts = new Uint32Array(1_024);
  let count = 0;
  let begin = 0;
  while (begin <= text.length) {
    const end = text.indexOf('\n', begin);
    const stop = end < 0 ? text.length : end;
    do {
      if (count === starts.length) {
        const more = new Uint32Array(starts.length * 2);
        more.set(starts);
        starts = more;
      }
      starts[count] = begin;
      count += 1;
      begin += width;
    } while (begin < stop);
    begin = stop + 1;
    if (end < 0) break;
  }
  return {
    count,
    line(index) {
      const from = starts[index];
      if (from === undefined || index >= count) return '';
      const next = index + 1 < count ? (starts[index + 1] ?? text.length) : text.length;
      return text.slice(from, next).replace(/\r?\n$/, '');
    },
  };
}
