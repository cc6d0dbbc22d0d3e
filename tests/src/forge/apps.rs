//! Apps: their word is signed by a key that the forge knows, and it makes tokens of one repository for them.

use std::sync::{Arc, MutexGuard, PoisonError};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Forge, Token,
    rest::{Answered, Refusal},
    token::Caller,
};

type Shared = State<Arc<Forge>>;

/// How long a token is good.
const HOUR: TimeDelta = TimeDelta::hours(1);
/// The longest that an app's word may be good, in seconds.
const WORD: i64 = 600;

/// An app, as a test describes it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    /// Its number.
    #[serde(rename = "app")]
    number: u64,
    /// What its word is checked with, in PEM form.
    public_key: String,
    /// The number of its one installation.
    installation: u64,
    /// The repositories that it is installed on.
    repositories: Vec<String>,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
}

/// What a token is asked for with.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    permissions: Value,
}

impl Forge {
    fn apps(&self) -> MutexGuard<'_, Vec<App>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The app that says who it is by a word of its own.
    fn app_of(&self, headers: &HeaderMap) -> Result<App, Refusal> {
        let word = Caller::word(headers).ok_or_else(Refusal::bad_credentials)?;
        let apps = self.apps();
        apps.iter().find(|app| app.says(&word)).cloned().ok_or_else(Refusal::bad_credentials)
    }
}

impl App {
    fn says(&self, word: &str) -> bool {
        let mut wanted = Validation::new(Algorithm::RS256);
        wanted.set_issuer(&[self.number.to_string()]);
        wanted.set_required_spec_claims(&["exp", "iss"]);
        let Ok(key) = DecodingKey::from_rsa_pem(self.public_key.as_bytes()) else { return false };
        let said = jsonwebtoken::decode::<Claims>(word, &key, &wanted);
        said.is_ok_and(|said| {
            said.claims.iat <= Utc::now().timestamp() && said.claims.exp - said.claims.iat <= WORD
        })
    }

    fn is_on(&self, owner: &str, name: &str) -> bool {
        let wanted = format!("{owner}/{name}");
        self.repositories.iter().any(|repo| repo.eq_ignore_ascii_case(&wanted))
    }

    fn full_name(&self, name: &str) -> Option<&String> {
        self.repositories.iter().find(|repo| {
            repo.split_once('/').is_some_and(|(_, own)| own.eq_ignore_ascii_case(name))
        })
    }
}

/// `POST /_test/apps`: knows an app from now on.
pub(super) async fn add(State(forge): Shared, Json(app): Json<App>) -> StatusCode {
    let mut apps = forge.apps();
    apps.retain(|known| known.number != app.number);
    apps.push(app);
    StatusCode::NO_CONTENT
}

/// `GET /app`
pub(super) async fn itself(State(forge): Shared, headers: HeaderMap) -> Answered {
    let app = forge.app_of(&headers)?;
    Ok(Json(json!({ "id": app.number, "slug": format!("app-{}", app.number) })).into_response())
}

/// `GET /repos/{owner}/{name}/installation`
pub(super) async fn installation(
    State(forge): Shared,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answered {
    let app = forge.app_of(&headers)?;
    if !app.is_on(&owner, &name) {
        return Err(Refusal::not_found());
    }
    Ok(Json(json!({ "id": app.installation, "app_id": app.number })).into_response())
}

/// `POST /app/installations/{id}/access_tokens`
pub(super) async fn mint(
    State(forge): Shared,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Answered {
    let app = forge.app_of(&headers)?;
    if app.installation != id {
        return Err(Refusal::not_found());
    }
    let [name] = wanted.repositories.as_slice() else {
        return Err(Refusal::invalid_request("this forge makes tokens of one repository"));
    };
    let repo = app.full_name(name).ok_or_else(Refusal::not_found)?;
    let expires_at = Utc::now() + HOUR;
    let secret = format!("ghs_{}", uuid::Uuid::new_v4().simple());
    forge.take_token(Token::minted(&secret, repo, expires_at));
    let body = json!({
        "token": secret, "expires_at": expires_at, "permissions": wanted.permissions,
        "repository_selection": "selected",
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `DELETE /installation/token`
pub(super) async fn end(State(forge): Shared, headers: HeaderMap) -> Response {
    match Caller::word(&headers) {
        Some(secret) if secret.starts_with("ghs_") && forge.end_token(&secret) => {
            StatusCode::NO_CONTENT.into_response()
        }
        _ => Refusal::bad_credentials().into_response(),
    }
}
