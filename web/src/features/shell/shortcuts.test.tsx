import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, it, vi } from 'vitest';
import { shortcuts, useShortcuts } from '@/features/shell/shortcuts';

afterEach(cleanup);

function Screen({ go, open }: { go(): void; open(): void }) {
  useShortcuts({
    'g s': { label: 'Go to the sessions', group: 'Everywhere', run: go },
    Enter: { label: 'Open', group: 'The list', run: open },
  });
  return (
    <>
      <input aria-label="Search" />
      <button type="button">A button</button>
    </>
  );
}

function shown() {
  const [go, open] = [vi.fn(), vi.fn()];
  const { unmount } = render(<Screen go={go} open={open} />);
  return { go, open, unmount };
}

it('does what the keys say, one after the other', () => {
  const { go, open, unmount } = shown();
  fireEvent.keyDown(document.body, { key: 's' });
  expect(go).not.toHaveBeenCalled();
  fireEvent.keyDown(document.body, { key: 'g' });
  fireEvent.keyDown(document.body, { key: 's' });
  expect(go).toHaveBeenCalledOnce();
  fireEvent.keyDown(document.body, { key: 'Enter' });
  expect(open).toHaveBeenCalledOnce();
  expect(shortcuts().map(([keys]) => keys)).toEqual(['g s', 'Enter']);
  unmount();
  fireEvent.keyDown(document.body, { key: 'Enter' });
  expect(open).toHaveBeenCalledOnce();
  expect(shortcuts()).toEqual([]);
});

it('leaves alone whoever writes, a button its Enter, and the browser its own keys', () => {
  const { go, open } = shown();
  const search = screen.getByLabelText('Search');
  fireEvent.keyDown(search, { key: 'g' });
  fireEvent.keyDown(search, { key: 's' });
  fireEvent.keyDown(screen.getByRole('button'), { key: 'Enter' });
  fireEvent.keyDown(document.body, { key: 'Enter', ctrlKey: true });
  expect(go).not.toHaveBeenCalled();
  expect(open).not.toHaveBeenCalled();
});
