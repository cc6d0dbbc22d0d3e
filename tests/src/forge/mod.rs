//! A forge: git's own http-backend on real bare repositories, and the part of GitHub's REST API in use.

mod answers;
mod faults;
mod git_http;
mod rest;
mod seed;
mod state;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{any, get, post},
};

pub use self::state::Forge;

/// The forge's routes.
pub fn router(forge: Arc<Forge>) -> Router {
    let rest = Router::new()
        .route("/user", get(rest::user))
        .route("/repos/{owner}/{name}", get(rest::repository))
        .route("/repos/{owner}/{name}/branches", get(rest::branches))
        .route("/repos/{owner}/{name}/branches/{*branch}", get(rest::branch))
        .route("/repos/{owner}/{name}/issues", get(rest::issues))
        .route("/repos/{owner}/{name}/issues/{number}", get(rest::issue))
        .route("/repos/{owner}/{name}/pulls", get(rest::pulls).post(rest::create_pull))
        .route("/repos/{owner}/{name}/pulls/{number}", get(rest::pull))
        .route("/repos/{owner}/{name}/contents/{*path}", get(rest::contents));
    Router::new()
        .nest("/api/v3", rest)
        .route("/_test/faults", post(faults::add))
        .route("/{owner}/{name}/pull/{number}", get(rest::page))
        .route("/{owner}/{name}/{*path}", any(git_http::serve))
        .layer(from_fn_with_state(Arc::clone(&forge), faults::inject))
        .layer(DefaultBodyLimit::disable())
        .with_state(forge)
}

/// Runs git; its output, or what it complains of.
async fn git(dir: &PathBuf, arguments: &[&str]) -> anyhow::Result<String> {
    let output = tokio::process::Command::new("git")
        .args(["-c", "safe.directory=*", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .await?;
    anyhow::ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
