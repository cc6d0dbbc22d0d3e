// A real OpenID provider for the tests: npm's oidc-provider, whose package is in the directory named first.
//
//   node provider.mjs DIRECTORY PORT CLIENT_JSON
//
// Anybody signs in with any password: the name is the subject, and what is behind a plus sign are the groups
// ("alice+dev+ops"). It prints its issuer once it listens.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [directory, port, client] = process.argv.slice(2);
const entry = join(directory, 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(entry).href);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = privateKey.export({ format: 'jwk' });
const kid = createHash('sha256').update(jwk.n).digest('hex').slice(0, 16);

const provider = new Provider(issuer, {
  clients: [JSON.parse(client)],
  jwks: { keys: [{ ...jwk, kid, use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [kid] },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'groups'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email'], groups: ['groups'] },
  conformIdTokenClaims: false,
  // It reaches no loopback address of itself, and the server that it is to sign people out of is at one.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => {
      const [name, ...groups] = id.split('+');
      return { sub: id, name, email: `${name}@idp.test`, ...(id.includes('+') ? { groups } : {}) };
    },
  }),
});
provider.on('server_error', (_, error) => console.error(error));
const said = (error) => error?.error_description ?? error?.cause ?? error ?? '';
for (const event of ['backchannel.error', 'backchannel.success', 'grant.error', 'authorization.error'])
  provider.on(event, (...all) => console.error(event, said(all.find((one) => one instanceof Error))));
provider.listen(Number(port), '127.0.0.1', () => console.log(issuer));
