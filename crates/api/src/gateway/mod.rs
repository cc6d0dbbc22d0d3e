//! The control listener of egress gateways: which runs they serve by which policy, and what they
//! decided. Served on a listener of its own, for whoever has the gateways' token.

mod credential;
mod decisions;
mod policies;
mod presence;
mod router;

pub use decisions::{Cursor, Decision, Decisions, Kind, Verdict};
pub use policies::{Policies, Policy, PolicyCredential};
pub use presence::Presence;
pub use router::{GatewayState, router};
