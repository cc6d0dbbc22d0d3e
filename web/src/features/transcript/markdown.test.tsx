import { render } from '@testing-library/react';
import { expect, it } from 'vitest';
import { Markdown } from '@/features/transcript/markdown';

it('shows hostile Markdown as text and fetches nothing', () => {
  const { container } = render(
    <Markdown
      text={[
        '<script>alert(1)</script>',
        '<img src=x onerror=alert(1)>',
        'a <b onclick="x">bold</b> word',
        '![pixel](https://evil.example/p.png)',
        '[click](javascript:alert(1)) [data](data:text/html,x) [fine](https://example.org/?a=1&b=2)',
        '<iframe src="https://evil.example"></iframe>',
      ].join('\n\n')}
    />,
  );
  expect(container.querySelector('script, img, iframe, b, [onclick], [onerror]')).toBeNull();
  expect([...container.querySelectorAll('a')].map((a) => a.getAttribute('href'))).toEqual([
    'https://example.org/?a=1&b=2',
  ]);
  expect(container.querySelector('a')?.getAttribute('rel')).toBe('noopener noreferrer');
  expect(container.textContent).toContain('<script>alert(1)</script>');
  expect(container.textContent).toContain('[image: pixel]');
});

it('lays out what agents write', () => {
  const { container } = render(
    <Markdown
      text={
        '# Done\n\n- [x] `a < b`\n- two **bold**\n\n1. one\n\n```js\nif (a < b) {}\n```\n\n|a|b|\n|-|-|\n|1|2|'
      }
    />,
  );
  expect(container.querySelector('strong')?.textContent).toBe('bold');
  expect(container.querySelector('li code')?.textContent).toBe('a < b');
  expect(container.querySelector('pre')?.textContent).toBe('if (a < b) {}');
  expect(container.querySelectorAll('td')).toHaveLength(2);
});
