//! The event log against real servers: PostgreSQL, and NATS where it matters.

mod append;
mod crash;
mod idempotency;
mod log;

mod postgres;
mod readers;
mod refusals;

mod rights;
mod sequencer;
mod support;
mod transactions;
