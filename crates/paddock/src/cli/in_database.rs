//! `paddock login --in-database`: a first link or token for whoever runs the server and has none yet.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use url::Url;

use super::output;
use crate::config::Secret;

/// Where the database is, where people reach the server, and what to make.
#[derive(Args)]
pub(super) struct InDatabase {
    /// Make the link in the database of PADDOCK_DATABASE_URL rather than ask the server: for whoever runs it, and has
    /// no token yet.
    #[arg(long = "in-database", id = "in_database")]
    pub(super) asked: bool,
    /// Make an API token rather than a link; the one that was made so before is good no longer.
    #[arg(long, requires = "in_database")]
    api_token: bool,
    #[arg(long, env = "PADDOCK_DATABASE_URL", hide = true, hide_env_values = true)]
    database_url: Option<Secret>,
    #[arg(long, env = "PADDOCK_PUBLIC_URL", hide = true)]
    public_url: Option<Url>,
}

impl InDatabase {
    /// Makes it, without the server.
    pub(super) async fn make(self, json: bool) -> anyhow::Result<ExitCode> {
        let url = self.database_url.context("PADDOCK_DATABASE_URL is not set")?;
        let pool = crate::serve::connect(url.expose())?;
        let context = commands::Context::system();
        if self.api_token {
            let token = api::access::issue_local_token(&pool, &context).await?;
            let made = json!({ "token": token });
            output::print(json, &made, |made| output::cell(made, "/token"));
            return Ok(ExitCode::SUCCESS);
        }
        let link = api::access::issue_sign_in_link(&pool, &context).await?;
        let public = match self.public_url {
            Some(url) => url,
            None => "http://127.0.0.1:7080".parse()?,
        };
        let made = json!({ "url": public.join(&link)?.as_str() });
        output::print(json, &made, |made| output::cell(made, "/url"));
        Ok(ExitCode::SUCCESS)
    }
}
