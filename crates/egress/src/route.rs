//! The three ways out, told apart by the form of the request alone:
//!
//! - `/model/v1/…` goes to the model provider, with its key;
//! - `/git/<owner>/<name>.git/…` goes to the forge, with its token, for the run's repository only;
//! - `CONNECT` and `http://…` go to hosts on the allow-list.
//!
//! Nothing else goes anywhere.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::{
    answer::{Body, Refusal},
    decision::Kind,
    gateway::Door,
    git, model, proxy,
};

pub(crate) async fn route(door: Door, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return proxy::connect(door, request).await;
    }
    if request.uri().scheme().is_some() || request.uri().authority().is_some() {
        return proxy::http(door, request).await;
    }
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix("/model/v1/") {
        let rest = rest.to_owned();
        return model::pass(door, &rest, request).await;
    }
    if let Some(rest) = path.strip_prefix("/git/") {
        let rest = rest.to_owned();
        return git::pass(door, &rest, request).await;
    }
    let refusal = Refusal::new("no-route", "the gateway has no such route")
        .with_status(StatusCode::NOT_FOUND);
    door.refuse(&door.asked(Kind::Http, "", 0), &refusal)
}
