/** How long a page that draws no frames, because nobody sees it, waits in their place. */
const UNSEEN = 250;

/**
 * Does `work` once, before the next frame. A tab that is not in sight draws none, and has to go on all the
 * same: its title and its notifications are for whoever looks elsewhere. Answers how to call it off.
 */
export function onFrame(work: () => void): () => void {
  const off = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  const run = () => {
    off();
    work();
  };
  const frame = requestAnimationFrame(run);
  const timer = setTimeout(run, UNSEEN);
  return off;
}
