//! The scripted model under a real OpenCode, which `PADDOCK_OPENCODE` names.

mod agent;
mod faults;
mod scenarios;
