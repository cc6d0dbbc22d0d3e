-- What the egress gateways decided, as they reported it. The id is theirs: a repeated report is one row.
create table runtime.gateway_decision (
  id          uuid        not null,
  run         uuid        not null,
  at          timestamptz not null,
  kind        text        not null,
  host        text        not null,
  port        integer     not null,
  verdict     text        not null,
  rule        text        not null,
  address     text,
  bytes_up    bigint      not null,
  bytes_down  bigint      not null,
  duration_ms bigint      not null,
  status      integer,
  constraint gateway_decision_pkey primary key (id),
  constraint gateway_decision_kind check (kind in ('connect', 'http', 'model', 'git')),
  constraint gateway_decision_verdict check (verdict in ('allowed', 'refused'))
);
create index gateway_decision_run on runtime.gateway_decision (run, at, id);
