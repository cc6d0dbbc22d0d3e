-- Who is behind the opaque ids of those who apply objects to the cluster. Not in the log: a name can be erased.
create table runtime.kubernetes_user (
  id   uuid not null,
  name text not null,
  constraint kubernetes_user_pkey primary key (id)
);

-- Which object on the cluster asked for which session or run. A name is taken by who used it first.
create table runtime.kubernetes_object (
  key    text not null,
  name   text not null,
  actor  text not null,
  target uuid,
  -- The object itself, once something came of it: another one of that name is another request.
  uid    text,
  constraint kubernetes_object_pkey primary key (key)
);
create unique index kubernetes_object_target on runtime.kubernetes_object (target);
create unique index kubernetes_object_uid on runtime.kubernetes_object (uid);
