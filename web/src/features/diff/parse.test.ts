import { expect, it } from 'vitest';
import { parseDiff } from '@/features/diff/parse';

const DIFF = `diff --git a/src/greet.js b/src/greet.js
index 1..2 100644
--- a/src/greet.js
+++ b/src/greet.js
@@ -1,3 +1,4 @@ function greet
 one
-two
+two!
+--- not a heading
 three
\\ No newline at end of file
diff --git a/old name.txt b/new name.txt
similarity index 100%
rename from old name.txt
rename to new name.txt
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
diff --git "a/gr\\303\\274n.txt" "b/gr\\303\\274n.txt"
deleted file mode 100755
--- "a/gr\\303\\274n.txt"
+++ /dev/null
@@ -1 +0,0 @@
-x
`;

it('reads files, names, numbers and what happened to each', () => {
  const [changed, renamed, binary, deleted] = parseDiff(DIFF);
  expect(changed).toMatchObject({ path: 'src/greet.js', status: 'changed', added: 2, removed: 1 });
  expect(changed?.hunks[0]?.lines).toEqual([
    { kind: 'same', text: 'one', before: 1, after: 1 },
    { kind: 'removed', text: 'two', before: 2 },
    { kind: 'added', text: 'two!', after: 2 },
    { kind: 'added', text: '--- not a heading', after: 3 },
    { kind: 'same', text: 'three', before: 3, after: 4 },
    { kind: 'note', text: 'No newline at end of file' },
  ]);
  expect(renamed).toMatchObject({ path: 'new name.txt', from: 'old name.txt', status: 'renamed' });
  expect(binary).toMatchObject({ path: 'logo.png', status: 'added', binary: true });
  expect(deleted).toMatchObject({ path: 'grün.txt', status: 'deleted', removed: 1 });
});

it('never fails', () => {
  for (const text of [
    '',
    'nonsense',
    '@@ -1 +1 @@\n-a\n+b',
    'diff --git ',
    '@@ -9999999999 +1,2 @@',
  ]) {
    expect(() => parseDiff(text)).not.toThrow();
  }
});
