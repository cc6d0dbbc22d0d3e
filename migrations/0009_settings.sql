-- Runs whose output may be older than it is to be kept: the sweep looks for them every minute.
create index run_link_ended on runtime.run_link (seen_at) where settled;
