use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use chrono::TimeDelta;
use commands::{Caused, CommandError};
use domain::{
    actor::{Event, SignIn},
    event::Actor,
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::{
    ATTEMPTS, PublicRoute,
    cookie::{self, Kind},
    link::sign_in_by_link,
    oidc::{Failure, Identity, Oidc},
    person,
    record::committed,
    secret::{Secret, digest},
};
use crate::{
    problem::{Answer, Problem},
    request::Params,
    state::AppState,
};

/// How long somebody may take at the provider.
const UNDER_WAY: TimeDelta = TimeDelta::minutes(10);
/// The most sign-ins under way.
const MOST: i64 = 10_000;
/// The longest path to return to.
const LONGEST: usize = 2_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginQuery {
    /// What `paddock login` printed on the machine itself: a one-time link.
    token: Option<String>,
    /// A path of the page to return to.
    return_to: Option<String>,
}

/// Signs a browser in: by a one-time link, which is itself the credential, or by sending it to the OpenID
/// provider.
#[utoipa::path(get, path = "/login", operation_id = "signIn", tag = "access",
    params(LoginQuery), security(()),
    responses((status = 303, description = "Signed in, or on to the provider: the answer sets a cookie")))]
pub(crate) async fn login(
    _: PublicRoute,
    State(state): State<AppState>,
    cookies: CookieJar,
    Params(query): Params<LoginQuery>,
) -> Answer<Response> {
    let return_to =
        own_path(query.return_to.as_deref().unwrap_or("/"), &state.settings.public_url)?;
    if let Some(token) = query.token {
        let secret = Secret::draw(state.commands.context(), "");
        sign_in_by_link(&state, &token, &secret).await?;
        let url = &state.settings.public_url;
        let cookie = cookie::build(Kind::Browser, url, secret.expose().to_owned());
        return Ok((cookies.add(cookie), Redirect::to(&return_to)).into_response());
    }
    let Some(oidc) = state.access.oidc() else {
        return Err(Problem::malformed(
            "token",
            "is missing: `paddock login` prints a link with it",
        ));
    };
    match begin(&state, oidc, &return_to).await? {
        Ok((url, secret)) => {
            let cookie =
                cookie::build(Kind::SignIn, &state.settings.public_url, secret.expose().to_owned());
            Ok((cookies.add(cookie), Redirect::to(url.as_str())).into_response())
        }
        Err(failure) => Ok(failed(&state, failure, &return_to).into_response()),
    }
}

/// Puts a sign-in down that one browser, which gets the secret, may finish once.
async fn begin(
    state: &AppState,
    oidc: &Oidc,
    return_to: &str,
) -> Answer<Result<(Url, Secret), Failure>> {
    let begun = match oidc.begin().await {
        Ok(begun) => begun,
        Err(failure) => return Ok(Err(failure)),
    };
    let context = state.commands.context();
    let (now, secret) = (context.now(), Secret::draw(context, ""));
    sqlx::query!("delete from runtime.sign_in where expires_at <= $1", now)
        .execute(state.pool())
        .await?;
    let under_way = sqlx::query_scalar!(
        r#"select count(*) as "count!" from (select from runtime.sign_in limit $1) as begun"#,
        MOST
    )
    .fetch_one(state.pool())
    .await?;
    if under_way >= MOST {
        return Ok(Err(Failure::Busy));
    }
    sqlx::query!(
        "insert into runtime.sign_in
           (state_sha256, cookie_sha256, nonce, verifier, return_to, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
        &digest(&begun.state)[..],
        &secret.digest()[..],
        begun.nonce,
        begun.verifier,
        return_to,
        now + UNDER_WAY,
    )
    .execute(state.pool())
    .await?;
    Ok(Ok((begun.url, secret)))
}

/// What the provider sends a browser back with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    /// Which sign-in it is.
    state: Option<String>,
    /// What proves it to the provider.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
    /// Which provider it is.
    iss: Option<String>,
}

/// Ends a sign-in at the provider: the browser is signed in, or told why not.
#[utoipa::path(get, path = "/login/callback", operation_id = "finishSignIn", tag = "access",
    params(CallbackQuery), security(()),
    responses((status = 303, description = "Signed in: the answer sets a cookie. Or on to the page that says why not")))]
pub(crate) async fn finish_login(
    _: PublicRoute,
    State(state): State<AppState>,
    cookies: CookieJar,
    Params(query): Params<CallbackQuery>,
) -> Answer<Response> {
    let Some(oidc) = state.access.oidc() else {
        return Err(Problem::not_found("route"));
    };
    let url = &state.settings.public_url;
    let begun_here =
        cookies.get(&cookie::name(Kind::SignIn, url)).map(|cookie| digest(cookie.value()));
    let before =
        cookies.get(&cookie::name(Kind::Browser, url)).map(|cookie| digest(cookie.value()));
    let cookies = cookies.add(cookie::removal(Kind::SignIn, url));
    let (begun, return_to) = match taken(&state, query.state.as_deref(), begun_here).await? {
        Ok(begun) => {
            let return_to = begun.return_to.clone();
            (begun, return_to)
        }
        Err(failure) => return Ok((cookies, failed(&state, failure, "/")).into_response()),
    };
    let identity = match (&query.error, query.code, &query.iss) {
        (_, _, Some(iss)) if *iss != oidc.settings().issuer => Err(Failure::TokenInvalid),
        (Some(_), ..) | (None, None, _) => Err(Failure::ProviderRefused),
        (None, Some(code), _) => oidc.finish(code, begun.nonce, begun.verifier).await,
    };
    let secret = Secret::draw(state.commands.context(), "");
    let signed_in = match identity {
        Ok(identity) => let_in(&state, oidc, &identity, &secret, before).await?,
        Err(failure) => Err(failure),
    };
    match signed_in {
        Ok(()) => {
            let cookie = cookie::build(Kind::Browser, url, secret.expose().to_owned());
            Ok((cookies.add(cookie), Redirect::to(&return_to)).into_response())
        }
        Err(failure) => Ok((cookies, failed(&state, failure, &return_to)).into_response()),
    }
}

/// A sign-in that comes back.
struct Taken {
    nonce: String,
    verifier: String,
    return_to: String,
}

/// Takes a sign-in up, once, for the browser that began it.
async fn taken(
    state: &AppState,
    name: Option<&str>,
    cookie: Option<[u8; 32]>,
) -> Answer<Result<Taken, Failure>> {
    let Some(name) = name else { return Ok(Err(Failure::Expired)) };
    let row = sqlx::query!(
        "delete from runtime.sign_in where state_sha256 = $1
         returning cookie_sha256, nonce, verifier, return_to, expires_at",
        &digest(name)[..],
    )
    .fetch_optional(state.pool())
    .await?;
    let now = state.commands.context().now();
    let Some(row) = row.filter(|row| row.expires_at > now) else {
        return Ok(Err(Failure::Expired));
    };
    let is_its = cookie.is_some_and(|own| own.ct_eq(&row.cookie_sha256[..]).into());
    if !is_its {
        return Ok(Err(Failure::OtherBrowser));
    }
    Ok(Ok(Taken { nonce: row.nonce, verifier: row.verifier, return_to: row.return_to }))
}

/// Lets a browser in and puts it on the person's record: all of it or nothing. Who was signed in with it before is
/// so no longer.
async fn let_in(
    state: &AppState,
    oidc: &Oidc,
    identity: &Identity,
    secret: &Secret,
    before: Option<[u8; 32]>,
) -> Answer<Result<(), Failure>> {
    let now = state.commands.context().now();
    let limits = state.access.settings();
    let idle = sqlx::postgres::types::PgInterval {
        months: 0,
        days: 0,
        microseconds: limits.idle.num_microseconds().unwrap_or(i64::MAX),
    };
    for _ in 0..ATTEMPTS {
        let mut tx = state.pool().begin().await?;
        let (user, is_disabled) = person::seen_in_tx(
            &mut tx,
            state.commands.context(),
            &oidc.settings().issuer,
            identity,
        )
        .await?;
        let caused = Caused::by(Actor::User(user));
        if is_disabled {
            let failure = Failure::PersonDisabled;
            let event = Event::SignInRejected { code: failure.code().to_owned() };
            if committed(state, tx, user, event, &caused).await? {
                return Ok(Err(failure));
            }
            continue;
        }
        sqlx::query!(
            "delete from runtime.browser where token_sha256 = $1 or (person = $2 and expires_at <= $3)",
            before.map(|digest| digest.to_vec()),
            user.0,
            now,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "insert into runtime.browser (token_sha256, person, expires_at, created_at, seen_at, idle, sid)
             values ($1, $2, $3, $4, $4, $5, $6)",
            &secret.digest()[..],
            user.0,
            now + limits.absolute,
            now,
            idle,
            identity.sid,
        )
        .execute(&mut *tx)
        .await?;
        let event = Event::SignedIn { method: SignIn::Oidc };
        if committed(state, tx, user, event, &caused).await? {
            return Ok(Ok(()));
        }
    }
    Err(CommandError::Contended.into())
}

/// On to the page that explains it, and from there to where they wanted to go.
fn failed(state: &AppState, failure: Failure, return_to: &str) -> Redirect {
    state.access.count(failure);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("failed", failure.code())
        .append_pair("return_to", return_to)
        .finish();
    Redirect::to(&format!("/sign-in?{query}"))
}

/// A path of our own page, and of no other: where it would lead elsewhere it is refused.
fn own_path(text: &str, public_url: &Url) -> Answer<String> {
    let refused = || Problem::malformed("return_to", "is not a path of this page, such as /runs/…");
    let plain = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= LONGEST
        && text.chars().all(|c| !c.is_control() && c != '\\' && !c.is_whitespace());
    if !plain {
        return Err(refused());
    }
    let url = public_url.join(text).map_err(|_| refused())?;
    if url.origin() != public_url.origin() || url.path().starts_with("//") {
        return Err(refused());
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}{query}", url.path()))
}

/// How one signs in here.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInBody {
    method: SignInMethod,
    /// The provider's host; null where there is none.
    provider: Option<String>,
    /// Whether somebody can sign in now.
    available: bool,
}

/// How one signs in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignInMethod {
    /// At an OpenID provider, by `/login`.
    Oidc,
    /// By a one-time link, which `paddock login` prints on the machine itself.
    Link,
}

/// Says how one signs in here. For anybody.
#[utoipa::path(get, path = "/api/v1/sign-in", operation_id = "getSignIn", tag = "access", security(()),
    responses((status = 200, description = "How one signs in", body = SignInBody)))]
pub(crate) async fn get_sign_in(_: PublicRoute, State(state): State<AppState>) -> Json<SignInBody> {
    let Some(oidc) = state.access.oidc() else {
        return Json(SignInBody { method: SignInMethod::Link, provider: None, available: true });
    };
    let host = Url::parse(&oidc.settings().issuer).ok();
    let provider = host.and_then(|url| url.host_str().map(str::to_owned));
    Json(SignInBody { method: SignInMethod::Oidc, provider, available: oidc.answers().await })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        let url = Url::parse("https://paddock.test").unwrap();
        for (text, expected) in [
            ("/", "/"),
            ("/runs/1?tab=changes", "/runs/1?tab=changes"),
            ("/a/../b", "/b"),
            ("/x#y", "/x"),
            ("/new?next=https://evil.test", "/new?next=https://evil.test"),
        ] {
            assert_eq!(own_path(text, &url).ok().as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "evil.test",
            "https://evil.test",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "/\t/evil.test",
            "/\n/evil.test",
            " //evil.test",
            "/..//evil.test",
            "/.//evil.test",
            "javascript:alert(1)",
            "/\u{0}x",
            &format!("/{}", "x".repeat(LONGEST)),
        ] {
            assert!(own_path(text, &url).is_err(), "{text:?}");
        }
    }
}
