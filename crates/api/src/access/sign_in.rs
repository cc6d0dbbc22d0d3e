use axum::{
    extract::State,
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    PublicRoute,
    cookie::{self, Kind},
    link::sign_in_by_link,
    secret::Secret,
};
use crate::{problem::Answer, request::Params, state::AppState};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginQuery {
    /// What `paddock login` printed.
    token: String,
}

/// Signs a browser in by a one-time link, which is itself the credential.
#[utoipa::path(get, path = "/login", operation_id = "signIn", tag = "access",
    params(LoginQuery), security(()),
    responses((status = 303, description = "Signed in: the answer sets a cookie")))]
pub(crate) async fn login(
    _: PublicRoute,
    State(state): State<AppState>,
    cookies: CookieJar,
    Params(query): Params<LoginQuery>,
) -> Answer<impl IntoResponse> {
    let secret = Secret::draw(state.commands.context(), "");
    sign_in_by_link(&state, &query.token, &secret).await?;
    let url = &state.settings.public_url;
    let cookie = cookie::build(Kind::Browser, url, secret.expose().to_owned());
    Ok((cookies.add(cookie), Redirect::to("/")))
}
