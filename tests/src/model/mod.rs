//! An OpenAI-compatible model that plays scenarios from files.
//!
//! What it answers follows from the conversation alone: the scenario is named in the newest user message
//! that names one, and the step is how many tool results have come since then. So a request that is made
//! again, after a restart of anything, gets the same answer.

mod play;
mod scenario;
mod server;

pub use self::{
    play::{Asked, step_of},
    scenario::{Scenario, Scenarios, Step},
    server::{Model, router},
};
