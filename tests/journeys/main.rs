//! Journeys: the whole product on one machine, with a real PostgreSQL, NATS, bubblewrap and OpenCode; the
//! forge and the model are the demo's.

mod credentials;
mod ends;
mod hostile;
mod issue_to_pull_request;
mod kill;
mod people;
mod record;
mod restart;
mod resume;
mod secrets;
mod store;
#[expect(dead_code, reason = "tests on a cluster use the rest")]
mod support;
mod terminal_states;
mod together;
mod unenforced;
