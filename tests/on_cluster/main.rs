//! Runs as pods on a real cluster, which `scripts/test-cluster` brings up.

#[path = "../journeys/support.rs"]
#[expect(dead_code, reason = "the journeys on one machine use the rest")]
mod support;

#[path = "../benches/cluster/audit.rs"]
mod audit;
mod cluster;
mod credentials;
mod egress;
mod fence;
mod fence_late;
mod identity;
mod journeys;
mod kill;
mod loss;
mod objects;
mod platform;
mod profiles;
mod whole_node;
