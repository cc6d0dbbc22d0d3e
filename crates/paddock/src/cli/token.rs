//! `paddock token …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::{Client, Server, output, session::without_nulls};

/// With whose they are.
const ALL_COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("OWNER", "/owner/name"),
    ("OWNER'S ID", "/owner/id"),
    ("NAME", "/name"),
    ("ROLE", "/scope/role"),
    ("EXPIRES", "/expires_at"),
    ("LAST USED", "/last_used_at"),
];
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ROLE", "/scope/role"),
    ("SESSION", "/scope/session"),
    ("EXPIRES", "/expires_at"),
    ("LAST USED", "/last_used_at"),
];

#[derive(Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make an API token of yours; it is printed this once.
    Create {
        /// What it is for.
        name: String,
        /// For how many days it is good, 1 to 365; 90 unless told otherwise.
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// At most this role, whatever you may do: viewer reads alone, maintainer works with sessions and runs.
        #[arg(long, value_name = "ROLE", value_parser = ["viewer", "maintainer"])]
        role: Option<String>,
        /// For this session alone.
        #[arg(long, value_name = "SESSION")]
        session: Option<String>,
    },
    /// List your API tokens that work, the newest first.
    List {
        /// Everybody's; for admins.
        #[arg(long, conflicts_with = "owner")]
        all: bool,
        /// Those of this user, by their id; for admins.
        #[arg(long, value_name = "USER")]
        owner: Option<uuid::Uuid>,
    },
    /// End one: requests with it are refused from then on, and its streams close. An admin ends anybody's.
    Revoke {
        /// Its id, as `paddock token list` prints it.
        token: uuid::Uuid,
    },
}

/// Carries out `paddock token …`.
pub(crate) async fn token(args: TokenArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    match args.verb {
        Verb::Create { name, days, role, session } => {
            let scope = without_nulls(json!({ "role": role, "session": session }));
            let body =
                without_nulls(json!({ "name": name, "expires_in_days": days, "scope": scope }));
            let made = client.send(Method::POST, "tokens", Some(&body)).await?;
            output::print(json, &made, |made| output::cell(made, "/token"));
        }
        Verb::List { all, owner } => {
            let whose = if all { Some("all".to_owned()) } else { owner.map(|id| id.to_string()) };
            let path =
                whose.as_ref().map_or("tokens".to_owned(), |id| format!("tokens?owner={id}"));
            let columns = if whose.is_some() { ALL_COLUMNS } else { COLUMNS };
            output::print_list(json, &client.list(&path).await?, columns, "no token works");
        }
        Verb::Revoke { token } => {
            client.send(Method::DELETE, &format!("tokens/{token}"), None).await?;
            output::print(json, &json!({ "revoked": token }), |_| "revoked".to_owned());
        }
    }
    Ok(ExitCode::SUCCESS)
}
