//! OpenCode's HTTP API (opencode-ai 1.18, the v1 `/session…` family), as far as Paddock uses it. Typed where
//! Paddock decides by it; everything else is kept as the agent's own JSON.

mod client;
mod types;

pub use client::{Client, ENDPOINTS};
pub use types::{
    Listed, MessageError, MessageInfo, PendingPermission, PendingQuestion, Session, SessionStatus,
    SessionTime, Time, Tokens, TokensCache,
};
