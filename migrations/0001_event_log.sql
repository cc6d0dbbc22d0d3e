-- The event log: the only truth. Everything else in this database can be made again from it.
--
-- Run by the owner (`paddock migrate`, or psql in one transaction). The serving role may read and add,
-- never change or remove; triggers hold even the owner to that.

do $$ begin
  if not exists (select from pg_roles where rolname = 'paddock_serve') then
    if (select rolcreaterole or rolsuper from pg_roles where rolname = current_user) then
      create role paddock_serve login;
    else
      raise exception 'the role paddock_serve does not exist and % may not create it', current_user
        using hint = 'as an administrator: create role paddock_serve login';
    end if;
  end if;
end $$;

create schema paddock;
create schema view;
create schema runtime;

-- One row an event, never changed. `seq` orders the rows of one transaction and of one stream; it has
-- holes and says nothing about the order of commits: the sequencer makes positions from `xid`.
create table paddock.event (
  id          uuid        not null,
  stream      text        collate "C" not null,
  version     bigint      not null,
  name        text        collate "C" not null,
  schema      smallint    not null,
  actor       text        collate "C" not null,
  time        timestamptz not null,
  correlation uuid        not null,
  body        bytea       not null,
  xid         xid8        not null default pg_current_xact_id(),
  seq         bigint      not null generated always as identity (cache 1),
  constraint event_pkey primary key (id),
  constraint event_stream_version unique (stream, version),
  constraint event_version_positive check (version > 0),
  constraint event_schema_positive check (schema > 0)
);
create index event_xid_seq on paddock.event (xid, seq);

-- Free text, apart from the events that refer and commit to it, so that it can be erased.
create table paddock.event_text (
  id    uuid  not null,
  salt  bytea not null,
  bytes bytea not null,
  constraint event_text_pkey primary key (id),
  constraint event_text_salt check (octet_length(salt) = 16)
);

-- The first answer to each idempotency key.
create table paddock.idempotency (
  actor       text        collate "C" not null,
  key         text        collate "C" not null,
  fingerprint bytea       not null,
  stream      text        collate "C" not null,
  version     bigint      not null,
  target      uuid        not null,
  time        timestamptz not null,
  constraint idempotency_pkey primary key (actor, key)
);

-- Positions: dense from 1, each with its RFC 6962 leaf.
create table paddock.log (
  position bigint not null,
  event    uuid   not null,
  leaf     bytea  not null,
  constraint log_pkey primary key (position),
  constraint log_event_key unique (event),
  constraint log_position_positive check (position > 0),
  constraint log_leaf_length check (octet_length(leaf) = 32)
);

-- What the sequencer did, batch by batch. A batch holds the events that `snapshot` sees and `since`
-- does not, in the order of `seq`; where that was more than fits one batch, up to `seq` only, and the
-- next batch goes on from there.
create table paddock.log_batch (
  number   bigint      not null,
  since    pg_snapshot not null,
  snapshot pg_snapshot not null,
  seq      bigint,
  first    bigint      not null,
  last     bigint      not null,
  constraint log_batch_pkey primary key (number),
  constraint log_batch_size check (last >= first - 1)
);

-- The epochs of the log: which database it has been in. The newest counts.
create table paddock.epoch (
  counter           bigint      not null,
  system_identifier text        not null,
  timeline          bigint      not null,
  size              bigint      not null,
  time              timestamptz not null default now(),
  constraint epoch_pkey primary key (counter)
);
insert into paddock.epoch (counter, system_identifier, timeline, size)
select 1, system_identifier::text, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, 0
from pg_control_system();

create function paddock.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% on %.% is refused: the event log is never changed', tg_op, tg_table_schema, tg_table_name
    using errcode = 'integrity_constraint_violation';
end $$;
create trigger event_never_changes before update or delete or truncate on paddock.event
  for each statement execute function paddock.refuse_change();
create trigger event_text_never_changes before update or truncate on paddock.event_text
  for each statement execute function paddock.refuse_change();
create trigger log_never_changes before update or delete or truncate on paddock.log
  for each statement execute function paddock.refuse_change();
create trigger log_batch_never_changes before update or delete or truncate on paddock.log_batch
  for each statement execute function paddock.refuse_change();
create trigger epoch_never_changes before update or delete or truncate on paddock.epoch
  for each statement execute function paddock.refuse_change();
-- A restored `session_replication_role` must not switch them off.
alter table paddock.event enable always trigger event_never_changes;
alter table paddock.event_text enable always trigger event_text_never_changes;
alter table paddock.log enable always trigger log_never_changes;
alter table paddock.log_batch enable always trigger log_batch_never_changes;
alter table paddock.epoch enable always trigger epoch_never_changes;

-- Refusals of the last minute, waiting to be folded into one event.
create table runtime.refusal (
  actor   text        not null,
  command text        not null,
  target  text        not null, -- empty where the command was to make one
  code    text        not null,
  since   timestamptz not null, -- when the first one was appended
  repeats integer     not null, -- how many came after it
  request text        not null, -- the first repeat's request id
  constraint refusal_pkey primary key (actor, command, target, code)
);

-- Why sequencer and relay wait for `paddock log adopt`: at most one row.
create table runtime.log_halt (
  the_only boolean     not null default true check (the_only),
  reason   text        not null,
  since    timestamptz not null default now(),
  constraint log_halt_pkey primary key (the_only)
);

-- Which sidecar holds which identity: the digest of its token, never the token.
create table runtime.run_identity (
  run          uuid        not null,
  generation   integer     not null,
  token_sha256 bytea       not null,
  issued_at    timestamptz not null default now(),
  constraint run_identity_pkey primary key (run, generation),
  constraint run_identity_token unique (token_sha256),
  constraint run_identity_token_length check (octet_length(token_sha256) = 32)
);

revoke all on schema paddock, view, runtime from public;
grant usage on schema paddock to paddock_serve;
grant select, insert on paddock.event, paddock.event_text, paddock.idempotency,
  paddock.log, paddock.log_batch, paddock.epoch to paddock_serve;
grant usage, create on schema view to paddock_serve;
grant usage on schema runtime to paddock_serve;
grant select, insert, update, delete on all tables in schema runtime to paddock_serve;
alter default privileges in schema runtime grant select, insert, update, delete on tables to paddock_serve;
alter default privileges in schema runtime grant usage on sequences to paddock_serve;
alter default privileges in schema view grant select, insert, update, delete, truncate on tables to paddock_serve;
alter default privileges in schema view grant usage on sequences to paddock_serve;
