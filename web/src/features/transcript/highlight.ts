import { type RefObject, useEffect } from 'react';
import './highlight.css';

const NAME = 'find';
/** More places than these on one screen help nobody. */
const MOST = 500;

/** Marks what is looked for where it is on the screen, without a change to what is drawn. */
export function useHighlight(within: RefObject<HTMLElement | null>, what: RegExp | undefined) {
  // After each drawing: other parts may have come into sight.
  useEffect(() => {
    // Not every browser can.
    if (typeof Highlight === 'undefined' || !within.current || !what) return;
    const every = new RegExp(what.source, 'gi');
    const ranges: Range[] = [];
    const texts = document.createTreeWalker(within.current, NodeFilter.SHOW_TEXT);
    while (ranges.length < MOST && texts.nextNode()) {
      const text = texts.currentNode;
      for (const { index, 0: found } of (text.nodeValue ?? '').matchAll(every)) {
        const range = new Range();
        range.setStart(text, index);
        range.setEnd(text, index + found.length);
        if (ranges.push(range) >= MOST) break;
      }
    }
    CSS.highlights.set(NAME, new Highlight(...ranges));
    return () => {
      CSS.highlights.delete(NAME);
    };
  });
}
