//! A forge: git's own http-backend on real bare repositories, and the part of GitHub's REST API in use.
//!
//! The API is at `/api/v3`, as an Enterprise host has it, and at the root, as api.github.com has it. Pages
//! for people are open to whoever reaches the address. `/_test` is for tests: faults, the requests that
//! came, further repositories.

mod admin;
mod answers;
mod apps;
mod bare;
mod faults;
mod git_http;
mod pages;
mod pulls;
mod requests;
mod rest;
mod router;
mod seed;
mod state;
mod token;

pub use self::{
    router::{Config, router, start},
    seed::{NewFile, NewIssue, NewRepository},
    state::Forge,
    token::{Rights, Token},
};
