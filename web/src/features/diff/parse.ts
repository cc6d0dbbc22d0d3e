export interface DiffLine {
  kind: 'same' | 'added' | 'removed' | 'note';
  text: string;
  /** Its number before and after, where it has one. */
  before?: number;
  after?: number;
}

export interface Hunk {
  heading: string;
  lines: DiffLine[];
}

export interface DiffFile {
  path: string;
  /** What it was called, if it was renamed. */
  from?: string;
  status: 'added' | 'deleted' | 'renamed' | 'changed';
  binary: boolean;
  mode?: string;
  hunks: Hunk[];
  added: number;
  removed: number;
}

/** Reads a unified diff as git writes it. What it does not understand it leaves out, and never fails. */
export function parseDiff(text: string): DiffFile[] {
  const files: DiffFile[] = [];
  let file: DiffFile | undefined;
  let hunk: Hunk | undefined;
  let before = 0;
  let after = 0;
  let left = 0;
  let right = 0;
  for (const line of text.split('\n')) {
    if (hunk && (left > 0 || right > 0 || line.startsWith('\\'))) {
      const rest = line.slice(1);
      if (line.startsWith('+')) {
        hunk.lines.push({ kind: 'added', text: rest, after: after++ });
        right -= 1;
        if (file) file.added += 1;
        continue;
      }
      if (line.startsWith('-')) {
        hunk.lines.push({ kind: 'removed', text: rest, before: before++ });
        left -= 1;
        if (file) file.removed += 1;
        continue;
      }
      if (line.startsWith('\\')) {
        hunk.lines.push({ kind: 'note', text: line.slice(2) });
        continue;
      }
      hunk.lines.push({ kind: 'same', text: rest, before: before++, after: after++ });
      left -= 1;
      right -= 1;
      continue;
    }
    if (line.startsWith('diff --git ')) {
      const [from, to] = names(line.slice('diff --git '.length));
      file = { path: to, status: 'changed', binary: false, hunks: [], added: 0, removed: 0 };
      if (from !== to) file.from = from;
      files.push(file);
      hunk = undefined;
      continue;
    }
    const heading = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/.exec(line);
    if (heading) {
      // A diff without git's own heading: one file.
      if (!file) {
        file = { path: '', status: 'changed', binary: false, hunks: [], added: 0, removed: 0 };
        files.push(file);
      }
      before = Number(heading[1]);
      left = Number(heading[2] ?? 1);
      after = Number(heading[3]);
      right = Number(heading[4] ?? 1);
      hunk = { heading: heading[5] ?? '', lines: [] };
      file.hunks.push(hunk);
      continue;
    }
    if (line.startsWith('+++ ') && !file) {
      file = {
        path: unquoted(line.slice(4)),
        status: 'changed',
        binary: false,
        hunks: [],
        added: 0,
        removed: 0,
      };
      files.push(file);
    }
    if (!file) continue;
    if (line.startsWith('new file mode')) file.status = 'added';
    else if (line.startsWith('deleted file mode')) file.status = 'deleted';
    else if (line.startsWith('rename from ')) {
      file.status = 'renamed';
      file.from = unquoted(line.slice('rename from '.length));
    } else if (line.startsWith('rename to ')) file.path = unquoted(line.slice('rename to '.length));
    else if (line.startsWith('new mode ')) file.mode = line.slice('new mode '.length);
    else if (line.startsWith('Binary files ') || line === 'GIT binary patch') file.binary = true;
    else if (line.startsWith('+++ b/')) file.path = unquoted(line.slice(4));
  }
  for (const each of files) if (each.status !== 'renamed') delete each.from;
  return files;
}

/** "a/x b/x", each quoted where git had to. */
function names(text: string): [string, string] {
  const quoted = /^("(?:[^"\\]|\\.)*") ("(?:[^"\\]|\\.)*")$/.exec(text);
  if (quoted) return [unquoted(quoted[1] ?? ''), unquoted(quoted[2] ?? '')];
  // Both are the same name unless it was renamed, and then lines of their own say it.
  const half = (text.length - 1) / 2;
  return [unquoted(text.slice(0, half)), unquoted(text.slice(half + 1))];
}

/** Without the prefix, and without git's quotes: "\303\244" is a byte each. */
function unquoted(name: string): string {
  let plain = name.replace(/\t.*$/, '');
  if (plain.startsWith('"') && plain.endsWith('"')) {
    const bytes: number[] = [];
    const encoder = new TextEncoder();
    for (const [, octal, escaped, other] of plain
      .slice(1, -1)
      .matchAll(/\\([0-7]{3})|\\(.)|([^\\]+)/g)) {
      if (octal) bytes.push(Number.parseInt(octal, 8));
      else if (escaped)
        bytes.push(...encoder.encode({ n: '\n', t: '\t', r: '\r' }[escaped] ?? escaped));
      else if (other) bytes.push(...encoder.encode(other));
    }
    plain = new TextDecoder().decode(new Uint8Array(bytes));
  }
  return plain.replace(/^[ab]\//, '');
}
