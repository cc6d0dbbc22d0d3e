//! `paddock session …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Server, access, output};

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("REPOSITORY", "/repo"),
    ("BRANCH", "/branch"),
    ("GROUP", "/group"),
    ("STATE", "/state"),
    ("PULL REQUEST", "/pull_request/url"),
    ("TITLE", "/title"),
];

#[derive(Args)]
pub(crate) struct SessionArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start a line of work on a repository.
    Create {
        /// The repository, as owner/name.
        #[arg(long)]
        repo: String,
        /// What it is about; the issue's title if an issue is named.
        #[arg(long)]
        title: Option<String>,
        /// The issue to work on.
        #[arg(long)]
        issue: Option<u64>,
        /// The branch to merge into; the repository's default branch unless told otherwise.
        #[arg(long)]
        base: Option<String>,
    },
    /// List sessions, the newest first.
    List {
        /// Those in the archive.
        #[arg(long)]
        archived: bool,
    },
    /// Show one session.
    Get { session: String },
    /// Give it another title.
    Rename { session: String, title: String },
    /// Take it out of the everyday lists.
    Archive { session: String },
    /// Bring it back from the archive.
    Restore { session: String },
    /// Let its bundles and outputs go; its record stays in the log.
    Delete { session: String },
    /// Begin another session from a bundle of this one.
    Fork {
        session: String,
        /// The bundle; the newest one unless told otherwise.
        #[arg(long)]
        bundle: Option<String>,
        /// The new session's title.
        #[arg(long)]
        title: Option<String>,
    },
    /// List its bundles.
    Artifacts { session: String },
    /// Share it: give somebody a role on it. Without a subject, say with whom it is shared.
    Share {
        session: String,
        /// With whom: user:ID, group:NAME or kubernetes:USERNAME.
        subject: Option<String>,
        /// viewer or maintainer, up to what you are on it.
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// Take somebody's role on it.
    Unshare {
        session: String,
        /// Whose: user:ID, group:NAME or kubernetes:USERNAME.
        subject: String,
        /// Which role, where they have several.
        #[arg(long)]
        role: Option<String>,
    },
}

/// Carries out `paddock session …`.
pub(crate) async fn session(args: SessionArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    match args.verb {
        Verb::Create { repo, title, issue, base } => {
            let body = without_nulls(json!({
                "repo": repo, "title": title, "issue": issue, "base": base,
            }));
            let made = client.send(Method::POST, "sessions", Some(&body)).await?;
            output::print(json, &made, |made| output::cell(made, "/id"));
        }
        Verb::List { archived } => {
            let path = if archived { "sessions?archived=true" } else { "sessions" };
            let items = client.list(path).await?;
            output::print_list(
                json,
                &items,
                COLUMNS,
                "no sessions yet; start one with `paddock session create --repo OWNER/NAME`",
            );
        }
        Verb::Get { session } => {
            let session = client.get(&format!("sessions/{session}")).await?;
            output::print(json, &session, describe);
        }
        Verb::Rename { session, title } => {
            let body = json!({ "title": title });
            let path = format!("sessions/{session}");
            done(json, &client.send(Method::PATCH, &path, Some(&body)).await?);
        }
        Verb::Archive { session } => act(&client, json, &session, "archive").await?,
        Verb::Restore { session } => act(&client, json, &session, "restore").await?,
        Verb::Delete { session } => {
            let path = format!("sessions/{session}");
            done(json, &client.send(Method::DELETE, &path, None).await?);
        }
        Verb::Fork { session, bundle, title } => {
            let body = without_nulls(json!({ "bundle": bundle, "title": title }));
            let path = format!("sessions/{session}/fork");
            let made = client.send(Method::POST, &path, Some(&body)).await?;
            output::print(json, &made, |made| output::cell(made, "/id"));
        }
        Verb::Share { session, subject, role } => {
            let scope = format!("session:{session}");
            match subject {
                Some(subject) => access::grant(&client, json, &subject, &role, &scope, &[]).await?,
                None => access::list(&client, json, Some(&scope)).await?,
            }
        }
        Verb::Unshare { session, subject, role } => {
            let scope = format!("session:{session}");
            let id = access::found(&client, &subject, role.as_deref(), &scope).await?;
            access::revoke(&client, json, &id).await?;
        }
        Verb::Artifacts { session } => {
            let items = client.list(&format!("sessions/{session}/artifacts")).await?;
            let columns =
                [("ID", "/id"), ("SIZE", "/size"), ("COMMIT", "/git_head"), ("RUN", "/run_id")];
            output::print_list(json, &items, &columns, "no bundles yet");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn act(client: &Client, json: bool, session: &str, verb: &str) -> anyhow::Result<()> {
    let path = format!("sessions/{session}/{verb}");
    done(json, &client.send(Method::POST, &path, None).await?);
    Ok(())
}

fn done(json: bool, answer: &Value) {
    output::print(json, answer, |_| "done".to_owned());
}

/// Leaves out what was not given: the server distinguishes absent from null.
pub(crate) fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(object) = &mut value {
        object.retain(|_, value| !value.is_null());
    }
    value
}

fn describe(session: &Value) -> String {
    let rows = [
        ("title", "/title"),
        ("id", "/id"),
        ("repository", "/repo"),
        ("base", "/base"),
        ("branch", "/branch"),
        ("issue", "/issue"),
        ("active run", "/active_run/id"),
        ("pull request", "/pull_request/url"),
        ("created", "/created_at"),
    ];
    describe_rows(session, &rows)
}

/// One line a field that is there.
pub(crate) fn describe_rows(value: &Value, rows: &[(&str, &str)]) -> String {
    rows.iter()
        .filter(|(_, pointer)| value.pointer(pointer).is_some_and(|field| !field.is_null()))
        .map(|(name, pointer)| format!("{name:<13} {}", output::cell(value, pointer)))
        .collect::<Vec<_>>()
        .join("\n")
}
