-- What the link keeps beside the log: how far each run's sidecar got, and what its agent put out.

-- One row a run: the newest generation that said hello holds it. `epoch` grows with every hello, so that
-- frames of an older connection, of whichever replica, find no row to update.
create table runtime.run_link (
  run        uuid        not null,
  session    uuid        not null,
  generation integer     not null,
  epoch      bigint      not null,
  acked      bigint      not null, -- frames of this generation up to here are stored
  done       bigint      not null, -- up to which version of the run's stream it said it had carried out
  items      bigint      not null, -- items of output stored, over all generations: the newest `seq`
  subject    text,                 -- of the first commit pushed: the pull request's title
  seen_at    timestamptz not null, -- when a replica last heard of it
  settled    boolean     not null default false, -- the run has ended: nobody is waited for
  constraint run_link_pkey primary key (run),
  constraint run_link_numbers check (generation > 0 and epoch > 0 and acked >= 0 and done >= 0 and items >= 0)
);
create index run_link_waited_for on runtime.run_link (seen_at) where not settled;

-- The agent's output, item by item, dense from 1 in each run. By hash, so that the parts stay small
-- enough to vacuum while many runs write; whole runs are removed, by run.
create table runtime.run_output (
  run  uuid     not null,
  seq  bigint   not null,
  zstd boolean  not null, -- whether `item` is compressed
  item bytea    not null, -- the JSON of one item
  constraint run_output_pkey primary key (run, seq)
) partition by hash (run);
do $$ begin
  for part in 0..7 loop
    execute format('create table runtime.run_output_%s partition of runtime.run_output
      for values with (modulus 8, remainder %s)', part, part);
  end loop;
end $$;

-- Who uploaded which bundle, whole and with the right digest. The bytes are in the artifact store.
create table runtime.artifact (
  digest      text        collate "C" not null,
  session     uuid        not null,
  run         uuid        not null,
  generation  integer     not null,
  size        bigint      not null,
  uploaded_at timestamptz not null,
  constraint artifact_pkey primary key (session, digest),
  constraint artifact_digest check (digest ~ '^[0-9a-f]{64}$'),
  constraint artifact_size check (size > 0)
);
create index artifact_digest on runtime.artifact (digest);
create index artifact_run on runtime.artifact (run, uploaded_at);

-- The newest diff of each run's branch against its base: what is shown when the pod is gone.
create table runtime.run_changes (
  run       uuid    not null,
  base      text    not null,
  head      text    not null,
  diff      bytea   not null, -- as git wrote it: hostile, and perhaps not UTF-8 any more
  truncated boolean not null,
  constraint run_changes_pkey primary key (run)
);
