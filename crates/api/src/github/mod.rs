//! GitHub's REST API, as far as the control plane itself uses it: to check a repository, to list its
//! branches and issues, and to open pull requests. The agent has its own way, through the gateway.

mod answer;
mod client;
mod credential;
mod error;
mod pulls;
mod repositories;

pub use answer::Page;
pub use client::GitHub;
pub use credential::{Installed, MintedToken, Tried};
pub use error::GitHubError;
pub use pulls::{Looked, NewPull, Pull};
pub use repositories::{BranchInfo, Issue, RepositoryInfo, User};
