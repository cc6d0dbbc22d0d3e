-- The audit that a reviewer verifies offline: which form each leaf has, the inner nodes of the tree over the leaves,
-- and what was signed of it. Like the log itself it is only ever added to.

-- The first form of leaves did not cover the correlation. Whoever writes no form yet writes that one.
alter table paddock.log add column form smallint not null default 1,
  add constraint log_form check (form in (1, 2));

-- Roots of the tree's perfect subtrees of 256^level leaves, each written once, when its last leaf is there: the
-- hashes of tiles above the leaves (C2SP tlog-tiles). The leaves themselves are in paddock.log.
create table paddock.tree_hash (
  level smallint not null,
  place bigint   not null, -- which one of its level, from 0
  hash  bytea    not null,
  constraint tree_hash_pkey primary key (level, place),
  constraint tree_hash_place check (level between 1 and 7 and place >= 0),
  constraint tree_hash_length check (octet_length(hash) = 32)
);

-- Signed checkpoints, number by number: of two signers only one writes a number.
create table paddock.checkpoint (
  number bigint      not null,
  size   bigint      not null,
  root   bytea       not null,
  note   text        not null, -- signed, in the form of C2SP tlog-checkpoint
  key    text        not null, -- the key that signs now, as verifiers name it
  time   timestamptz not null,
  constraint checkpoint_pkey primary key (number),
  constraint checkpoint_size check (size > 0),
  constraint checkpoint_root check (octet_length(root) = 32)
);
create index checkpoint_size on paddock.checkpoint (size, number);

create trigger tree_hash_never_changes before update or delete or truncate on paddock.tree_hash
  for each statement execute function paddock.refuse_change();
create trigger checkpoint_never_changes before update or delete or truncate on paddock.checkpoint
  for each statement execute function paddock.refuse_change();
alter table paddock.tree_hash enable always trigger tree_hash_never_changes;
alter table paddock.checkpoint enable always trigger checkpoint_never_changes;
grant select, insert on paddock.tree_hash, paddock.checkpoint to paddock_serve;

-- Erasure is the one thing that removes anything, and a text is the one thing that it removes.
grant delete on paddock.event_text to paddock_serve;

-- What people and the cluster's users did, and what is asked for by kind. Partial, so that the everyday append of a
-- run's own facts keeps the indexes that it has.
create index event_of_somebody on paddock.event (actor, seq)
  where actor like 'user:%' or actor like 'kubernetes:%';
create index event_asked_for on paddock.event (name, seq)
  where name in ('actor.command.refused', 'run.credential.used', 'run.egress.mode.changed', 'run.requested',
    'run.workload.observed', 'session.forked', 'log.text.erased', 'log.key.rotated');

-- What a witness answered last. It can be made again: the witness remembers by itself.
create table runtime.witness (
  url     text        not null,
  size    bigint      not null, -- up to where it has cosigned
  note    text,                 -- its newest cosignature
  problem text,                 -- why it did not cosign, where it did not
  at      timestamptz not null,
  constraint witness_pkey primary key (url)
);

-- Bundles that may hold an erased text, until they are out of the store.
create table runtime.erased_bundle (
  session uuid not null,
  digest  text collate "C" not null,
  constraint erased_bundle_pkey primary key (session, digest)
);
