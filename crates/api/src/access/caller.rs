use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{Method, StatusCode, header, request::Parts},
};
use axum_extra::extract::CookieJar;
use domain::{
    actor::TokenScope,
    ids::{SessionId, UserId},
};

use super::{
    LOCAL_ISSUER,
    cookie::{self, Kind},
    scope,
    secret::digest,
};
use crate::{
    problem::{Answer, Problem},
    state::AppState,
};

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
/// [`KnownCaller`](super::KnownCaller), or says that it is a [`PublicRoute`].
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    /// What the provider calls them; nothing for the one user of a machine of one's own.
    pub(crate) subject: Option<Arc<str>>,
    /// The provider's groups at the last sign-in. None is unknown, which is never "in no group": what is
    /// bound to a group does not hold for them.
    pub(crate) groups: Option<Arc<[String]>>,
    /// What they may do at most by this credential; a browser is not narrowed.
    pub(crate) scope: TokenScope,
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
        // The gate has looked already.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let caller = Credential::of(parts, state)?.caller(state).await?;
        scope::admits(&caller, parts, state).await?;
        Ok(caller)
    }
}

/// What the database says of a credential.
struct Row {
    person: uuid::Uuid,
    subject: Option<String>,
    groups: Option<Vec<String>>,
    ceiling: Option<String>,
    session: Option<uuid::Uuid>,
    /// Whether it was not put down within the last minute that it is in use.
    is_stale: bool,
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
            .get(&cookie::name(Kind::Browser, &state.settings.public_url))
            .ok_or_else(Problem::unauthenticated)?;
        if !is_safe(&parts.method) && !same_origin(parts, state) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-origin",
                "The request comes from another site",
            ));
        }
        Ok(Self::Cookie(digest(cookie.value())))
    }

    /// Whose it is, as the database says now; and that they used it.
    pub(super) async fn caller(self, state: &AppState) -> Answer<Caller> {
        let (caller, is_stale) = self.look(state).await?;
        if is_stale {
            self.used(state).await;
        }
        Ok(caller)
    }

    /// Whose it is, as the database says now, without their having done anything: what is open is no use of it.
    pub(super) async fn present(self, state: &AppState) -> Answer<Caller> {
        Ok(self.look(state).await?.0)
    }

    async fn look(self, state: &AppState) -> Answer<(Caller, bool)> {
        let Some(row) = self.row(state).await? else {
            state.access.known().forget(self);
            return Err(Problem::unauthenticated());
        };
        let ceiling = row.ceiling.as_deref().map(scope::ceiling).transpose()?;
        let caller = Caller {
            user: UserId(row.person),
            subject: row.subject.map(Into::into),
            groups: row.groups.map(Into::into),
            scope: TokenScope { ceiling, session: row.session.map(SessionId) },
            credential: self,
        };
        state.access.known().learn(&caller);
        Ok((caller, row.is_stale))
    }

    /// Whom another issuer than today's named is nobody: the one user of a machine of one's own, where people sign
    /// in at a provider.
    async fn row(self, state: &AppState) -> Result<Option<Row>, sqlx::Error> {
        let now = state.commands.context().now();
        let issuer = state.access.issuer();
        match self {
            Self::Token(digest) => {
                sqlx::query_as!(
                    Row,
                    r#"select t.person, p.groups, case when p.issuer <> $4 then p.subject end as subject, t.ceiling, t.session,
                         (t.last_used_at is null or t.last_used_at < $2::timestamptz - interval '1 minute') as "is_stale!"
                       from runtime.api_token t join runtime.person p on p.id = t.person
                       where t.token_sha256 = $1 and t.revoked_at is null and t.expires_at > $2
                         and p.disabled_at is null and p.issuer = $3"#,
                    &digest[..],
                    now,
                    issuer,
                    LOCAL_ISSUER,
                )
                .fetch_optional(state.pool())
                .await
            }
            Self::Cookie(digest) => {
                sqlx::query_as!(
                    Row,
                    r#"select b.person, p.groups, case when p.issuer <> $4 then p.subject end as subject, null::text as ceiling, null::uuid as session,
                         b.seen_at < $2::timestamptz - interval '1 minute' as "is_stale!"
                       from runtime.browser b join runtime.person p on p.id = b.person
                       where b.token_sha256 = $1 and b.expires_at > $2
                         and (b.idle is null or b.seen_at + b.idle > $2)
                         and p.disabled_at is null and p.issuer = $3"#,
                    &digest[..],
                    now,
                    issuer,
                    LOCAL_ISSUER,
                )
                .fetch_optional(state.pool())
                .await
            }
        }
    }

    /// Puts down that it is in use. That it cannot be is no reason to refuse.
    async fn used(self, state: &AppState) {
        let now = state.commands.context().now();
        let put_down = match self {
            Self::Token(digest) => {
                sqlx::query!(
                    "update runtime.api_token set last_used_at = $2 where token_sha256 = $1",
                    &digest[..],
                    now,
                )
                .execute(state.pool())
                .await
            }
            Self::Cookie(digest) => sqlx::query!(
                "update runtime.browser set seen_at = $2 where token_sha256 = $1 and seen_at < $2",
                &digest[..],
                now,
            )
            .execute(state.pool())
            .await,
        };
        if let Err(error) = put_down {
            tracing::warn!(%error, "it could not be put down that a credential is in use");
        }
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the page that sent the request is ours.
fn same_origin(parts: &Parts, state: &AppState) -> bool {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return false;
    }
    let (Some(origin), Some(host)) = (text("origin"), text("host")) else {
        return false;
    };
    let public = &state.settings.public_url;
    if public.scheme() == "https" {
        return origin == public.origin().ascii_serialization();
    }
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host)
}
