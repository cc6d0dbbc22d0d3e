-- People who sign in at an OpenID provider, their browsers, and what their API tokens may do. Secrets are stored as
-- digests only.

create table runtime.person (
  id           uuid        not null,
  issuer       text        not null,
  subject      text        not null,
  name         text,
  email        text,
  -- As the provider said at the last sign-in. Null is unknown: it said nothing that can be used, and what it said
  -- before counts no longer.
  groups       text[],
  created_at   timestamptz not null,
  signed_in_at timestamptz,
  -- Signed off by an administrator: nothing of theirs works.
  disabled_at  timestamptz,
  constraint person_pkey primary key (id),
  constraint person_subject unique (issuer, subject)
);

-- The one user of a machine of one's own is somebody too, of no provider.
insert into runtime.person (id, issuer, subject, name, created_at)
  select id, 'paddock:local', 'local', 'Local user', now() from runtime.local_user;

alter table runtime.browser
  add column created_at timestamptz not null default now(),
  add column seen_at    timestamptz not null default now(),
  -- How long it may rest; null is as long as it lives.
  add column idle       interval,
  -- The provider's own name of the sign-in, by which it ends it.
  add column sid        text;
create index browser_person on runtime.browser (person);
create index browser_expires on runtime.browser (expires_at);

alter table runtime.api_token
  add column last_used_at timestamptz,
  -- At most this role, whatever its owner may do.
  add column ceiling      text,
  -- For this session alone.
  add column session      uuid,
  add constraint api_token_ceiling check (ceiling in ('maintainer', 'viewer'));
create index api_token_person on runtime.api_token (person);

-- Sign-ins under way, each for one browser, each used once.
create table runtime.sign_in (
  state_sha256  bytea       not null,
  cookie_sha256 bytea       not null,
  nonce         text        not null,
  verifier      text        not null,
  return_to     text        not null,
  expires_at    timestamptz not null,
  constraint sign_in_pkey primary key (state_sha256)
);
create index sign_in_expires on runtime.sign_in (expires_at);

-- Logout tokens that were acted on: none is acted on twice.
create table runtime.logout_token (
  jti_sha256 bytea       not null,
  expires_at timestamptz not null,
  constraint logout_token_pkey primary key (jti_sha256)
);

-- What a person let a command line have, until it comes for it with the verifier of its challenge.
create table runtime.cli_grant (
  code_sha256 bytea       not null,
  challenge   bytea       not null,
  person      uuid        not null,
  name        text        not null,
  days        integer     not null,
  expires_at  timestamptz not null,
  constraint cli_grant_pkey primary key (code_sha256)
);
