-- Which pod is the workload of which run: a pod's own token says its uid, and this says the rest.
create table runtime.run_pod (
  pod         uuid        not null,
  run         uuid        not null,
  generation  integer     not null,
  recorded_at timestamptz not null default now(),
  constraint run_pod_pkey primary key (pod)
);
create index run_pod_run on runtime.run_pod (run);
