use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Caused, CommandError, Commands};
use domain::{
    access::{Action, Resource},
    actor::{Event, TokenScope},
    event::Actor,
    ids::{SessionId, UserId},
};
use projections::Cursor;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    ATTEMPTS, Allowance, Caller,
    caller::Credential,
    record::committed,
    scope::ceiling,
    secret::{API_PREFIX, Secret},
};
use crate::{
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Asked, Id, ListQuery, Nothing, Params, line, within},
    state::AppState,
};

/// For an answer with a secret in it.
pub(super) const NOT_STORED: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// An API token to be made.
pub(super) struct NewToken<'a> {
    pub(super) id: Uuid,
    pub(super) secret: &'a Secret,
    pub(super) name: &'a str,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) scope: TokenScope,
}

impl NewToken<'_> {
    /// Makes it, with its event.
    pub(super) async fn issue_in_tx(
        &self,
        commands: &Commands,
        tx: &mut Transaction<'_, Postgres>,
        user: UserId,
        caused: &Caused,
    ) -> Result<(), CommandError> {
        sqlx::query!(
            "insert into runtime.api_token
               (id, token_sha256, person, name, created_at, expires_at, ceiling, session)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            self.id,
            &self.secret.digest()[..],
            user.0,
            self.name,
            commands.context().now(),
            self.expires_at,
            self.scope.ceiling.map(domain::actor::Ceiling::as_str),
            self.scope.session.map(|session| session.0),
        )
        .execute(&mut **tx)
        .await?;
        let (token, expires_at) = (self.id, self.expires_at);
        let issued = Event::TokenIssued { token, expires_at, scope: self.scope };
        commands.actor_in_tx(tx, user.into(), issued, caused).await
    }
}

/// What an API token is narrowed to. It never does more than its owner may at that moment.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeBody {
    /// At most this role: `viewer` reads alone, `maintainer` works with sessions and runs. Null is its owner's.
    #[serde(default)]
    role: Option<String>,
    /// For this session alone. Null is all of its owner's.
    #[serde(default)]
    session: Option<Uuid>,
}

impl From<TokenScope> for ScopeBody {
    fn from(scope: TokenScope) -> Self {
        Self {
            role: scope.ceiling.map(|ceiling| ceiling.as_str().to_owned()),
            session: scope.session.map(|session| session.0),
        }
    }
}

impl ScopeBody {
    fn scope(&self) -> Answer<TokenScope> {
        let ceiling = self.role.as_deref().map(ceiling).transpose()?;
        Ok(TokenScope { ceiling, session: self.session.map(SessionId) })
    }
}

/// Whose an API token is.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenOwner {
    id: Uuid,
    /// As the provider said; null where it said none.
    name: Option<String>,
    email: Option<String>,
}

/// An API token, without its value.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    id: Uuid,
    owner: TokenOwner,
    name: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// When it was last used, to the minute; null where it never was.
    last_used_at: Option<DateTime<Utc>>,
    scope: ScopeBody,
    /// Whether it is the one that this request came with.
    current: bool,
}

/// Whose tokens, and which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokensQuery {
    /// Somebody's id, or `all`; one's own unless told otherwise. Those of others are for admins.
    owner: Option<String>,
    /// How many items, 1 to 200; 50 unless told otherwise.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

impl TokensQuery {
    /// Whose; everybody's where it is none.
    fn owner(&self, caller: &Caller) -> Answer<Option<Uuid>> {
        match self.owner.as_deref() {
            None => Ok(Some(caller.user.0)),
            Some("all") => Ok(None),
            Some(id) => match id.parse() {
                Ok(id) => Ok(Some(id)),
                Err(_) => Err(Problem::malformed("owner", "is somebody's id, or all")),
            },
        }
    }
}

/// Lists API tokens that work, the newest first: one's own, or as an admin those of others too.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "listTokens", tag = "access",
    params(TokensQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<TokenBody>)))]
pub(crate) async fn list_tokens(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<TokensQuery>,
) -> Answer<Json<ListBody<TokenBody>>> {
    let owner = query.owner(&caller)?;
    if owner != Some(caller.user.0) {
        let allowance = Allowance::of(&state, &caller);
        allowance.demand(Action::ListAllTokens, &Resource::Installation)?;
    }
    let whose = owner.map_or_else(|| "all".to_owned(), |owner| owner.to_string());
    let page = ListQuery { limit: query.limit, cursor: query.cursor, at_least: None };
    let (list, limit) = (format!("tokens {whose}"), page.limit()?);
    let before = match &page.cursor {
        Some(cursor) => Cursor::key(&list, cursor)?,
        None => Uuid::max(),
    };
    let own = match caller.credential {
        Credential::Token(digest) => digest.to_vec(),
        Credential::Cookie(_) => vec![],
    };
    let rows = sqlx::query!(
        r#"select t.id, t.person, p.name as person_name, p.email, t.name, t.created_at, t.expires_at,
             t.last_used_at, t.ceiling, t.session, t.token_sha256 = $5 as "current!"
           from runtime.api_token t join runtime.person p on p.id = t.person
           where ($1::uuid is null or t.person = $1)
             and t.revoked_at is null and t.expires_at > $2 and t.id < $3
           order by t.id desc limit $4"#,
        owner,
        state.commands.context().now(),
        before,
        i64::from(limit) + 1,
        own,
    )
    .fetch_all(state.pool())
    .await?;
    let mut items: Vec<TokenBody> = rows
        .into_iter()
        .map(|row| TokenBody {
            id: row.id,
            owner: TokenOwner { id: row.person, name: row.person_name, email: row.email },
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            scope: ScopeBody { role: row.ceiling, session: row.session },
            current: row.current,
        })
        .collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next = last.map(|last| Cursor::after(&list, last.id).encode());
    Ok(Json(ListBody { items, next }))
}

/// What an API token is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What it is for, in one line of at most 200 characters.
    name: String,
    /// For how many days it is good; 1 to 365. Unless told otherwise 90, or as long as the token
    /// is good with which this is asked for.
    expires_in_days: Option<u32>,
    /// What it is narrowed to; nothing unless told otherwise.
    #[serde(default)]
    scope: ScopeBody,
}

/// A new API token: its value is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewTokenBody {
    pub(super) id: Uuid,
    pub(super) token: String,
    pub(super) expires_at: DateTime<Utc>,
}

/// Makes an API token for oneself. Its value is stored nowhere, so that a repeated request makes another.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "createToken", tag = "access",
    request_body = TokenRequest,
    responses((status = 201, description = "The token, shown this once", body = NewTokenBody)))]
pub(crate) async fn create_token(
    State(state): State<AppState>,
    asked: Asked<TokenRequest>,
) -> Answer<impl IntoResponse> {
    let name = line("name", &asked.body.name, 200)?;
    let days = within("expires_in_days", asked.body.expires_in_days.unwrap_or(90), 1..=365)?;
    let scope = asked.body.scope.scope()?;
    let context = state.commands.context();
    let (id, secret) = (context.id(), Secret::draw(context, API_PREFIX));
    let expires_at = context.now() + TimeDelta::days(i64::from(days));
    let named = asked.body.expires_in_days.is_some();
    let given = given_on(&state, &asked.caller, scope, expires_at, named).await;
    let expires_at = asked.by.audited(&state, "token.create", None, given).await?;
    if let Some(session) = scope.session {
        let row = state.views.session(session).await?;
        row.ok_or_else(|| Problem::field("scope.session", "there is no such session"))?;
    }
    let token = NewToken { id, secret: &secret, name: &name, expires_at, scope };
    issue(&state, asked.caller.user, &token, &asked.by.caused(vec![])).await?;
    let token = secret.expose().to_owned();
    Ok((StatusCode::CREATED, NOT_STORED, Json(NewTokenBody { id, token, expires_at })))
}

/// A token gives on no more than it has, and not for longer: until when, which is as asked for, or where nothing
/// was `named`, as long as that can be.
async fn given_on(
    state: &AppState,
    caller: &Caller,
    scope: TokenScope,
    expires_at: DateTime<Utc>,
    named: bool,
) -> Answer<DateTime<Utc>> {
    let Credential::Token(digest) = caller.credential else { return Ok(expires_at) };
    if !scope.is_within(&caller.scope) {
        let words = "is more than the token has with which this is asked for";
        return Err(Problem::refused(StatusCode::FORBIDDEN, "token-scope", "scope", words));
    }
    let own = sqlx::query_scalar!(
        "select expires_at from runtime.api_token where token_sha256 = $1",
        &digest[..]
    )
    .fetch_one(state.pool())
    .await?;
    if expires_at <= own || !named {
        return Ok(expires_at.min(own));
    }
    let words =
        format!("is longer than the token is good with which this is asked for: until {own}");
    Err(Problem::refused(StatusCode::FORBIDDEN, "token-scope", "expires_in_days", words))
}

pub(super) async fn issue(
    state: &AppState,
    user: UserId,
    token: &NewToken<'_>,
    caused: &Caused,
) -> Answer<()> {
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        match token.issue_in_tx(&state.commands, &mut tx, user, caused).await {
            Ok(()) => {
                tx.commit().await?;
                state.commands.doorbell().ring();
                return Ok(());
            }
            Err(CommandError::Contended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CommandError::Contended.into())
}

/// Ends an API token, one's own or as an admin another's: requests with it are refused from then on, and its live
/// streams close.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "revokeToken", tag = "access",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "It does not work any more")))]
pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    Id(id): Id<Uuid>,
    asked: Asked<Nothing>,
) -> Answer<StatusCode> {
    let owner = sqlx::query_scalar!(
        "select person from runtime.api_token where id = $1 and revoked_at is null",
        id
    )
    .fetch_optional(state.pool())
    .await?;
    let owner = owner.map(UserId).ok_or_else(|| Problem::not_found("token"))?;
    let allowance = Allowance::of(&state, &asked.caller);
    if owner != asked.caller.user && !allowance.may(Action::RevokeAnyToken, &Resource::Installation)
    {
        // That there is one is not said; that they tried is on their record.
        let (actor, request) = (Actor::User(asked.caller.user), &asked.by.request);
        let name = Action::RevokeAnyToken.as_str();
        state.commands.refused(actor, name, None, "token-not-found", request).await?;
        return Err(Problem::not_found("token"));
    }
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        let revoked = sqlx::query!(
            "update runtime.api_token set revoked_at = $2 where id = $1 and revoked_at is null",
            id,
            state.commands.context().now(),
        )
        .execute(&mut *tx)
        .await?;
        if revoked.rows_affected() == 0 {
            return Err(Problem::not_found("token"));
        }
        let event = Event::TokenRevoked { token: id };
        if committed(&state, tx, owner, event, &asked.by.caused(vec![])).await? {
            state.access.rights().changed();
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(CommandError::Contended.into())
}
