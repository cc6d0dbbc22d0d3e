use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Allowance, Caller, LOCAL_ISSUER, caller::Credential, tokens::ScopeBody};
use crate::{
    problem::Answer,
    roles::{OwnRole, own_actions, own_roles},
    state::AppState,
};

/// Who one is.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeBody {
    /// An opaque id.
    id: Uuid,
    /// The provider's name for one; null where it said none.
    name: Option<String>,
    /// As the provider said.
    email: Option<String>,
    /// The provider at which one signed in; null for the one user of a machine of one's own.
    issuer: Option<String>,
    /// The groups that the provider said at the last sign-in; null is unknown, and then what is bound to a group
    /// does not hold.
    groups: Option<Vec<String>>,
    /// By what this request came.
    by: CredentialKind,
    /// Until when that is good at most; a browser that rests is signed out before.
    expires_at: Option<DateTime<Utc>>,
    /// What one's token is narrowed to.
    scope: ScopeBody,
    /// The roles that one has.
    roles: Vec<OwnRole>,
    /// What one may do to the installation itself, by the actions' permanent names.
    allowed_actions: Vec<String>,
}

/// What a request came with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CredentialKind {
    /// A browser's cookie.
    Browser,
    /// An API token.
    Token,
}

/// Says who one is.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "getMe", tag = "access",
    responses((status = 200, description = "Oneself", body = MeBody)))]
pub(crate) async fn me(State(state): State<AppState>, caller: Caller) -> Answer<Json<MeBody>> {
    let allowance = Allowance::of(&state, &caller);
    let (token, cookie) = match &caller.credential {
        Credential::Token(digest) => (Some(&digest[..]), None),
        Credential::Cookie(digest) => (None, Some(&digest[..])),
    };
    let row = sqlx::query!(
        r#"select p.name, p.email, p.issuer, coalesce(t.expires_at, b.expires_at) as expires_at
           from runtime.person p
             left join runtime.api_token t on t.token_sha256 = $2
             left join runtime.browser b on b.token_sha256 = $3
           where p.id = $1"#,
        caller.user.0,
        token,
        cookie,
    )
    .fetch_one(state.pool())
    .await?;
    Ok(Json(MeBody {
        id: caller.user.0,
        name: row.name,
        email: row.email,
        issuer: Some(row.issuer).filter(|issuer| issuer != LOCAL_ISSUER),
        groups: caller.groups.map(|groups| groups.to_vec()),
        by: if token.is_some() { CredentialKind::Token } else { CredentialKind::Browser },
        expires_at: row.expires_at,
        scope: caller.scope.into(),
        roles: own_roles(&allowance),
        allowed_actions: own_actions(&allowance),
    }))
}
