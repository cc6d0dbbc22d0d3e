/** Why somebody was not signed in, in plain words, and what to do. By the server's codes. */
export interface Explained {
  title: string;
  why: string;
  remedy: string;
}

const FAILURES: Record<string, Explained> = {
  'provider-unavailable': {
    title: 'The sign-in provider does not answer',
    why: 'Nobody can sign in right now. Whoever is signed in already can go on.',
    remedy: 'Try again in a moment. If it goes on, tell whoever runs the provider.',
  },
  'provider-refused': {
    title: 'The provider did not let you in',
    why: 'It refused this sign-in, or it was cancelled there.',
    remedy: 'Try again, or with another account. If it goes on, ask whoever runs the provider.',
  },
  expired: {
    title: 'This sign-in took too long, or was used before',
    why: 'A sign-in is good once, for ten minutes. A page that was reloaded or an old tab looks like this.',
    remedy: 'Sign in again.',
  },
  'other-browser': {
    title: 'Another browser began this sign-in',
    why: 'Only the browser in which a sign-in begins is signed in. Blocked cookies look the same.',
    remedy:
      'Sign in again from here, and allow cookies for this address. If a link that you did not ask for led you here, close it.',
  },
  'code-refused': {
    title: 'The provider did not confirm the sign-in',
    why: 'Its one-time code was used before, or was not made for this sign-in.',
    remedy:
      'Sign in again. If every try ends here, the server’s client ID or secret is wrong: tell an administrator.',
  },
  'token-invalid': {
    title: 'The provider’s answer could not be proven',
    why: 'Its signature, its recipient or its time is not right, so nobody was signed in. A clock that is wrong by more than a minute is a usual cause.',
    remedy: 'Tell an administrator: the server’s log says what was wrong.',
  },
  'person-disabled': {
    title: 'Your account is switched off here',
    why: 'The provider knows you; an administrator of this server signed you off.',
    remedy: 'Ask an administrator of this server.',
  },
  busy: {
    title: 'Too many sign-ins are under way',
    why: 'The server keeps only so many at once.',
    remedy: 'Try again in a few minutes.',
  },
};

export const FAILURE_CODES = Object.keys(FAILURES);

/** The words for a code; a code of a newer server is said as it is. */
export function explained(code: string): Explained {
  const known = Object.hasOwn(FAILURES, code) ? FAILURES[code] : undefined;
  return (
    known ?? {
      title: 'You were not signed in',
      why: `The server says: ${code.replace(/[^a-z-]/g, '').slice(0, 40)}`,
      remedy: 'Try again. If it goes on, tell an administrator.',
    }
  );
}

/** Where a sign-in that begins here is to lead back to. */
export function returnTo(location: { pathname: string; search: string }): string {
  if (location.pathname !== '/sign-in') return `${location.pathname}${location.search}`;
  return new URLSearchParams(location.search).get('return_to') ?? '/';
}
