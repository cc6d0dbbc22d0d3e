import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import { DiffFileView } from '@/features/diff/diff-view';
import { parseDiff } from '@/features/diff/parse';

afterEach(cleanup);

function file(lines: number) {
  const added = Array.from({ length: lines }, (_, index) => `+line ${index}`).join('\n');
  const [parsed] = parseDiff(
    `diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,${lines} @@\n${added}`,
  );
  if (!parsed) throw new Error('no file');
  return parsed;
}

it('draws a long file a part at a time', () => {
  const { container } = render(<DiffFileView file={file(10_000)} />);
  const rows = () => container.querySelectorAll('tr').length;
  expect(rows()).toBe(400);
  fireEvent.click(screen.getByText('Show 1,000 of 9,600 more lines'));
  expect(rows()).toBe(1_400);
});

it('shows what is hostile in it as text', () => {
  const [parsed] = parseDiff(
    'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+<img src=x onerror=alert(1)>\u001b[2Jb\u202ec',
  );
  if (!parsed) throw new Error('no file');
  const { container } = render(<DiffFileView file={parsed} />);
  expect(container.querySelector('img')).toBeNull();
  expect(container.textContent).toContain('<img src=x onerror=alert(1)>b⟨U+202E⟩c');
});
