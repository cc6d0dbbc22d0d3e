// Before anything is painted: the theme that was chosen, if one was.
try {
  const theme = localStorage.getItem('paddock.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is shut: the system's theme it is.
}
