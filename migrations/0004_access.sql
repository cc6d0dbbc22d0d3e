-- Who may come in, for now: one local user. Secrets are stored as digests only.

create table runtime.local_user (
  the_only boolean not null default true check (the_only),
  id       uuid    not null,
  constraint local_user_pkey primary key (the_only)
);

-- Links that sign a browser in, once.
create table runtime.sign_in_link (
  token_sha256 bytea       not null,
  person       uuid        not null,
  expires_at   timestamptz not null,
  used_at      timestamptz,
  constraint sign_in_link_pkey primary key (token_sha256)
);

-- Signed-in browsers.
create table runtime.browser (
  token_sha256 bytea       not null,
  person       uuid        not null,
  expires_at   timestamptz not null,
  constraint browser_pkey primary key (token_sha256)
);

-- API tokens.
create table runtime.api_token (
  id           uuid        not null,
  token_sha256 bytea       not null,
  person       uuid        not null,
  name         text        not null,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  revoked_at   timestamptz,
  constraint api_token_pkey primary key (id),
  constraint api_token_token unique (token_sha256)
);
