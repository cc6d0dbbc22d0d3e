//! The proxy: tunnels and plain HTTP to hosts on the allow-list.

mod address;
mod authority;
mod network;
mod rule;

pub use network::{Network, SystemNetwork};
pub use rule::{HostRule, NotARule};

use http::{Request, Response};
use hyper::body::Incoming;

use crate::{
    answer::{Body, Refusal},
    decision::Kind,
    gateway::Door,
};

pub(crate) async fn connect(door: Door, _request: Request<Incoming>) -> Response<Body> {
    door.refuse(&door.asked(Kind::Connect, "", 0), &Refusal::new("no-rule", "no host is allowed"))
}

pub(crate) async fn http(door: Door, _request: Request<Incoming>) -> Response<Body> {
    door.refuse(&door.asked(Kind::Http, "", 0), &Refusal::new("no-rule", "no host is allowed"))
}
