//! An OpenAI-compatible model that plays scenarios from files.
//!
//! What it answers follows from the conversation alone: which scenario, from the newest user message that
//! names one, or from the model's name, or from what the prompt is about; which step, from how many tool
//! results have come since the newest prompt. So a request that is made again, after a restart of anything,
//! gets the same answer. Only an error that is to pass after a number of times is counted in memory.

mod answer;
mod fill;
mod play;
mod scenario;
mod server;

pub use self::{
    play::{Played, play},
    scenario::{Scenario, Scenarios, Step},
    server::{Config, start},
};
