//! The event log against real servers: PostgreSQL, and NATS where it matters.

mod append;
mod audit;
mod consumers;
mod crash;
mod idempotency;
mod log;
mod nats;
mod postgres;
mod readers;
mod recent;
mod refusals;
mod relay;
mod rights;
mod sequencer;
mod support;
mod transactions;
