// Before anything is painted: the theme that was chosen, if one was.
try {
  const theme = localStorage.getItem('paddock.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is shut: the system's theme it is.
}

// A file of the page that does not come, as when the network changes in that moment, leaves nothing that could say
// so: the page is loaded again, a few times, and then says it.
{
  const NAME = 'paddock.tries';
  const MOST = 3;
  let whole = true;

  /** Whether it is loaded again: where nothing can be stored nobody counts, and it would be for ever. */
  const again = () => {
    try {
      const tries = Number(sessionStorage.getItem(NAME));
      if (tries >= MOST) {
        sessionStorage.removeItem(NAME);
        return false;
      }
      sessionStorage.setItem(NAME, String(tries + 1));
      setTimeout(() => location.reload(), 500 * 2 ** tries);
      return true;
    } catch {
      return false;
    }
  };

  const failed = ({ target }) => {
    const needed =
      target instanceof HTMLScriptElement ||
      (target instanceof HTMLLinkElement && target.rel === 'stylesheet');
    if (!needed || !whole) return;
    whole = false;
    if (again()) return;
    const words = document.createElement('p');
    words.setAttribute('role', 'alert');
    words.textContent =
      'The page did not come whole: the network or the server is away. Reload it to try again.';
    document.body.append(words);
  };

  addEventListener('error', failed, true);
  addEventListener('load', () => {
    removeEventListener('error', failed, true);
    try {
      if (whole) sessionStorage.removeItem(NAME);
    } catch {
      // Then nothing was stored.
    }
  });
}
