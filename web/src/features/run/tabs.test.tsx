import { cleanup, render, screen } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { useState } from 'react';
import { afterEach, expect, it } from 'vitest';
import { Tabs } from '@/features/run/tabs';

afterEach(cleanup);

const TABS = [
  ['one', 'One'],
  ['two', 'Two'],
  ['three', 'Three'],
] as const;

function Example() {
  const [selected, setSelected] = useState<(typeof TABS)[number][0]>('one');
  return (
    <Tabs label="Things" tabs={TABS} selected={selected} onSelect={(name) => setSelected(name)}>
      about {selected}
    </Tabs>
  );
}

it('selects by arrows from end to end, and is one stop of the Tab key', async () => {
  render(<Example />);
  const user = userEvent.setup();
  await user.tab();
  expect(document.activeElement?.textContent).toBe('One');
  await user.keyboard('{ArrowLeft}');
  expect(screen.getByRole('tab', { selected: true }).textContent).toBe('Three');
  expect(document.activeElement?.textContent).toBe('Three');
  expect(screen.getByRole('tabpanel', { name: 'Three' }).textContent).toBe('about three');
  await user.keyboard('{ArrowRight}{ArrowRight}');
  expect(screen.getByRole('tab', { selected: true }).textContent).toBe('Two');
  await user.keyboard('{Home}');
  expect(screen.getByRole('tab', { selected: true }).textContent).toBe('One');
  await user.tab();
  expect(document.activeElement).toBe(document.body);
});
