//! Who may come in: people by an OpenID provider, the one user of `paddock up` by a one-time link, programs by
//! API tokens.

mod allowance;
mod back_channel;
mod caller;
mod changed;
mod cli_grant;
mod cookie;
mod gate;
mod guard;
mod known;
mod limit;
mod link;
mod live;
mod local;
mod me;
mod oidc;
mod person;
mod record;
mod rules;
mod scope;
mod secret;
mod settings;
mod sign_in;
mod sign_out;
mod tokens;

pub(crate) use self::{
    allowance::*,
    back_channel::*,
    caller::{Caller, PublicRoute},
    changed::changed,
    cli_grant::*,
    cookie::COOKIE,
    gate::{Gate, gate},
    guard::guard,
    known::KnownCaller,
    link::*,
    me::*,
    sign_in::*,
    sign_out::*,
    tokens::*,
};
pub use self::{
    live::Rights,
    local::{issue_local_token, issue_sign_in_link, local_user},
    oidc::{Oidc, OidcSettings},
    settings::{Access, AccessSettings},
};

/// How often a change is tried that goes with an event, where others append to the same stream.
const ATTEMPTS: u32 = 12;
/// The issuer of the one user of a machine of one's own.
pub const LOCAL_ISSUER: &str = "paddock:local";
