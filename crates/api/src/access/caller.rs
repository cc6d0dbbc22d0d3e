use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{Method, header, request::Parts},
};
use axum_extra::extract::CookieJar;
use domain::ids::UserId;
use url::Url;

use super::secret::digest;
use crate::{
    problem::{Answer, Problem},
    state::AppState,
};

/// The browser's cookie. Not `__Host-`: that wants TLS, and this is loopback.
pub(crate) const COOKIE: &str = "paddock";

/// The cookie's name at this address. Browsers keep one jar for all ports of a host, and several
/// installations may be on one machine.
pub(super) fn cookie_name(public_url: &Url) -> String {
    match public_url.port() {
        Some(port) => format!("{COOKIE}-{port}"),
        None => COOKIE.to_owned(),
    }
}

/// Says that a route is for anybody: what a handler takes in place of a [`Caller`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicRoute;

impl<S: Sync> FromRequestParts<S> for PublicRoute {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// Who asks. Every handler takes one, or an [`Asked`](crate::request::Asked) with one in it, or a
/// [`KnownCaller`], or says that it is a [`PublicRoute`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    /// By what: the digest of a token or of a cookie.
    pub(crate) credential: Credential,
}

/// What a caller is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Credential {
    /// An API token, by its digest.
    Token([u8; 32]),
    /// A browser's cookie, by its digest.
    Cookie([u8; 32]),
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Answer<Self> {
        Credential::of(parts, state)?.caller(state).await
    }
}

impl Credential {
    /// What a request comes with.
    pub(super) fn of(parts: &Parts, state: &AppState) -> Answer<Self> {
        let bearer = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str());
        if let Some(bearer) = bearer {
            let token = bearer.ok().and_then(|text| text.strip_prefix("Bearer "));
            return Ok(Self::Token(digest(token.ok_or_else(Problem::unauthenticated)?)));
        }
        let cookies = CookieJar::from_headers(&parts.headers);
        let cookie = cookies
            .get(&cookie_name(&state.settings.public_url))
            .ok_or_else(Problem::unauthenticated)?;
        if !is_safe(&parts.method) && !same_origin(parts) {
            return Err(Problem::new(
                axum::http::StatusCode::FORBIDDEN,
                "foreign-origin",
                "The request comes from another site",
            ));
        }
        Ok(Self::Cookie(digest(cookie.value())))
    }

    /// Whose it is, as the database says now.
    pub(crate) async fn caller(self, state: &AppState) -> Answer<Caller> {
        let user = self.user(state).await;
        match user {
            Ok(Some(user)) => {
                state.known.learn(self, user);
                Ok(Caller { user, credential: self })
            }
            Ok(None) => {
                state.known.forget(self);
                Err(Problem::unauthenticated())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn user(self, state: &AppState) -> Result<Option<UserId>, sqlx::Error> {
        let now = state.commands.context().now();
        let user = match self {
            Self::Token(digest) => {
                sqlx::query_scalar!(
                    "select person from runtime.api_token
                     where token_sha256 = $1 and revoked_at is null and expires_at > $2",
                    &digest[..],
                    now,
                )
                .fetch_optional(state.pool())
                .await?
            }
            Self::Cookie(digest) => sqlx::query_scalar!(
                "select person from runtime.browser where token_sha256 = $1 and expires_at > $2",
                &digest[..],
                now,
            )
            .fetch_optional(state.pool())
            .await?,
        };
        Ok(user.map(UserId))
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the page that sent the request is ours.
fn same_origin(parts: &Parts) -> bool {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
        return false;
    };
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host)
}
