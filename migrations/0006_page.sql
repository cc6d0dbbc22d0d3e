-- What the page reads of an agent's output: its parts in their order, each with the items that make it,
-- without folding the whole of it.

-- The part that an item belongs to: the agent's id of it, cut to size.
alter table runtime.run_output add column part bytea;
create index run_output_part on runtime.run_output (run, part, seq) where part is not null;

-- The parts that there are, in the order of their ids, which is the order in time.
create table runtime.run_part (
  run     uuid    not null,
  part    bytea   not null,
  message bytea,                          -- none: a part that was taken back, or of which only texts came
  since   bigint  not null default 0,     -- items before this one do not count any more
  bytes   bigint  not null default 0,     -- of the JSON of its items
  gap     boolean not null default false, -- not a part but a place where something was left out
  constraint run_part_pkey primary key (run, part)
);
create index run_part_page on runtime.run_part (run, message, part) where message is not null;

-- The messages that there are, each with the newest item of it.
create table runtime.run_message (
  run     uuid   not null,
  message bytea  not null,
  seq     bigint not null,
  constraint run_message_pkey primary key (run, message)
);

-- What each run's agent did last, in one line of its own words.
alter table runtime.run_link add column doing text, add column doing_at timestamptz;
