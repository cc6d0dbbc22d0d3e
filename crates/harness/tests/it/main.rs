//! The real `paddock-harness` in directories of its own, with a real git, a forge that is git's own
//! http-backend behind a gateway's socket, and a real OpenCode on a scripted model.

mod agent;
mod changes;
mod checkout;
mod door;
mod ending;
mod hostile;
mod publish;
mod resume;
mod snapshot;
mod support;
