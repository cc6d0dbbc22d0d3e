use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{any, delete, get, post},
};

use super::{Forge, Token, admin, apps, faults, git_http, pages, requests, rest};
use crate::serving::{Serving, serve};

/// How to start a forge.
#[derive(Debug)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where repositories and pull requests are kept.
    pub data: PathBuf,
    /// Who may call.
    pub tokens: Vec<Token>,
    /// Whether the sample repository and its issue are made.
    pub seed_demo: bool,
}

/// Starts a forge. It ends when what is returned is dropped.
pub async fn start(config: Config) -> anyhow::Result<(Arc<Forge>, Serving)> {
    let listener = tokio::net::TcpListener::bind(config.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let forge = Forge::open(config.data, &url, config.tokens)?;
    if config.seed_demo {
        forge.seed_demo().await?;
    }
    let serving = serve(listener, url, router(Arc::clone(&forge)));
    Ok((forge, serving))
}

/// The forge's routes.
pub fn router(forge: Arc<Forge>) -> Router {
    let rest = Router::new()
        .route("/user", get(rest::user))
        .route("/app", get(apps::itself))
        .route("/app/installations/{id}/access_tokens", post(apps::mint))
        .route("/installation/token", delete(apps::end))
        .route("/repos/{owner}/{name}/installation", get(apps::installation))
        .route("/repos/{owner}/{name}", get(rest::repository))
        .route("/repos/{owner}/{name}/branches", get(rest::branches))
        .route("/repos/{owner}/{name}/branches/{*branch}", get(rest::branch))
        .route("/repos/{owner}/{name}/contents", get(rest::contents))
        .route("/repos/{owner}/{name}/contents/", get(rest::contents))
        .route("/repos/{owner}/{name}/contents/{*path}", get(rest::contents))
        .route("/repos/{owner}/{name}/git/ref/{*reference}", get(rest::reference))
        .route("/repos/{owner}/{name}/issues", get(rest::issues))
        .route("/repos/{owner}/{name}/issues/{number}", get(rest::issue))
        .route("/repos/{owner}/{name}/pulls", get(rest::pulls).post(rest::create_pull))
        .route("/repos/{owner}/{name}/pulls/{number}", get(rest::pull).patch(rest::change_pull))
        .layer(from_fn_with_state(Arc::clone(&forge), rest::headers));
    let tests = Router::new()
        .route("/faults", get(admin::faults).post(admin::add_fault).delete(admin::end_faults))
        .route("/requests", get(admin::requests))
        .route("/tokens", post(admin::take_token).delete(admin::end_token))
        .route("/apps", post(apps::add))
        .route("/repositories", post(admin::create_repository))
        .layer(from_fn_with_state(Arc::clone(&forge), admin::guard));
    let unknown = Router::new()
        .fallback(rest::unknown)
        .layer(from_fn_with_state(Arc::clone(&forge), rest::headers));
    Router::new()
        .merge(rest.clone())
        .nest("/api/v3", rest.fallback_service(unknown.with_state(Arc::clone(&forge))))
        .nest("/_test", tests)
        .route("/{owner}/{name}", get(pages::repository))
        .route("/{owner}/{name}/issues/{number}", get(pages::issue))
        .route("/{owner}/{name}/pull/{number}", get(pages::pull))
        .route("/{owner}/{name}/{*path}", any(git_http::serve))
        .layer(from_fn_with_state(Arc::clone(&forge), faults::inject))
        .layer(from_fn_with_state(Arc::clone(&forge), requests::record))
        .layer(from_fn(rest::request_id))
        .layer(DefaultBodyLimit::disable())
        .with_state(forge)
}
