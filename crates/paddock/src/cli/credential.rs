//! `paddock credential …`: what runs carry to the forge. A value comes by standard input or at a prompt that does not
//! show it, never as an argument: others on the machine can see those, and shells remember them.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    CliError, Client, Server, access, output,
    session::{describe_rows, without_nulls},
};

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("KIND", "/kind"),
    ("STATE", "/state"),
    ("OWNER", "/whose"),
    ("EXPIRES", "/expires_at"),
    ("VERIFIED", "/verified/words"),
];

const RUNS: &[(&str, &str)] = &[
    ("RUN", "/id"),
    ("REPOSITORY", "/repo"),
    ("STATE", "/state"),
    ("GENERATION", "/credential/generation"),
    ("SINCE", "/credential/used_at"),
];

#[derive(Args)]
pub(crate) struct CredentialArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Register a token, or an app's key, from standard input or at a prompt; and verify it.
    Add {
        /// What it is called: letters, digits, dots, dashes and underscores.
        name: String,
        /// The number of the GitHub App whose private key it is; without it, it is a personal access token.
        #[arg(long, value_name = "NUMBER")]
        app: Option<u64>,
        /// Make it nobody's own: an administrator gives it to those who may use it.
        #[arg(long)]
        shared: bool,
        /// The repository to verify it on.
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
    },
    /// List the credentials that you may see, the revoked ones too.
    List,
    /// Show one, with who may use it and which runs did.
    Show {
        /// Its id or name.
        credential: String,
    },
    /// Ask the forge what it is good for. Exits with 1 where that is nothing, or could not be found out.
    Verify {
        /// Its id or name.
        credential: String,
        /// The repository to try it on; the one of last time unless told otherwise.
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<String>,
    },
    /// Give it another value, from standard input or at a prompt: the next request of every run carries that one.
    Rotate {
        /// Its id or name.
        credential: String,
    },
    /// Revoke it for good, in runs that use it too.
    Revoke {
        /// Its id or name.
        credential: String,
    },
    /// Let somebody use it (maintainer), see it (viewer) or decide over it (admin).
    Grant {
        /// Its id or name.
        credential: String,
        /// To whom: user:ID, group:NAME or kubernetes:USERNAME.
        subject: String,
        /// viewer, maintainer or admin.
        #[arg(long, default_value = "maintainer")]
        role: String,
    },
}

/// Carries out `paddock credential …`.
pub(crate) async fn credential(args: CredentialArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    match args.verb {
        Verb::Add { name, app, shared, repo } => {
            let value = read_value(if app.is_some() { "private key" } else { "token" })?;
            let body = without_nulls(json!({
                "name": name, "app": app, "shared": shared.then_some(true), "repo": repo,
                "value": value,
            }));
            let made = client.send(Method::POST, "credentials", Some(&body)).await?;
            let id = made["id"].as_str().unwrap_or_default();
            return shown(&client, json, id).await;
        }
        Verb::List => {
            let mut items = client.list("credentials").await?;
            for item in &mut items {
                item["whose"] = whose(item);
            }
            output::print_list(json, &items, COLUMNS, "no credentials; `paddock credential add`");
        }
        Verb::Show { credential } => {
            let id = id_of(&client, &credential).await?;
            let mut shown = client.get(&format!("credentials/{id}")).await?;
            let scope = format!("credential:{id}");
            let runs = client.list(&format!("credentials/{id}/runs")).await?;
            if json {
                let path = format!("role-bindings?scope={scope}");
                shown["bindings"] = client.list(&path).await?.into();
                shown["runs"] = runs.into();
                output::print(json, &shown, |_| String::new());
            } else {
                shown["whose"] = whose(&shown);
                println!("{}\n\nWho may:", describe(&shown));
                access::list(&client, json, Some(&scope)).await?;
                println!("\nWhere it was used:");
                output::print_list(json, &runs, RUNS, "in no run that you may see");
            }
        }
        Verb::Verify { credential, repo } => {
            let id = id_of(&client, &credential).await?;
            let body = without_nulls(json!({ "repo": repo }));
            let path = format!("credentials/{id}/verify");
            client.send(Method::POST, &path, Some(&body)).await?;
            return shown(&client, json, &id).await;
        }
        Verb::Rotate { credential } => {
            let id = id_of(&client, &credential).await?;
            let value = read_value("new value")?;
            let body = json!({ "value": value });
            let path = format!("credentials/{id}/rotate");
            client.send(Method::POST, &path, Some(&body)).await?;
            return shown(&client, json, &id).await;
        }
        Verb::Revoke { credential } => {
            let id = id_of(&client, &credential).await?;
            let path = format!("credentials/{id}");
            let answer = client.send(Method::DELETE, &path, None).await?;
            output::print(json, &answer, |_| "revoked".to_owned());
        }
        Verb::Grant { credential, subject, role } => {
            let id = id_of(&client, &credential).await?;
            access::grant(&client, json, &subject, &role, &format!("credential:{id}"), &[]).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A credential's id; the one of that name that is not revoked, where it is a name.
pub(super) async fn id_of(client: &Client, text: &str) -> anyhow::Result<String> {
    if text.parse::<uuid::Uuid>().is_ok() {
        return Ok(text.to_owned());
    }
    let items = client.list("credentials").await?;
    let found = items.iter().find(|item| item["name"] == text && item["state"] != "revoked");
    let id = found.and_then(|item| item["id"].as_str());
    let words = || format!("there is no credential called {text} that you may see");
    Ok(id.map(str::to_owned).ok_or_else(|| CliError::not_found(words()))?)
}

/// Prints what is known of it; fails where the forge does not take it, or that could not be found out.
async fn shown(client: &Client, json: bool, id: &str) -> anyhow::Result<ExitCode> {
    let mut shown = client.get(&format!("credentials/{id}")).await?;
    let works = shown["verified"]["outcome"] == "works" && shown["verified"]["push"] != false;
    shown["whose"] = whose(&shown);
    output::print(json, &shown, describe);
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn whose(item: &Value) -> Value {
    match (&item["owner_name"], &item["owner"]) {
        (Value::String(name), _) => name.clone().into(),
        (_, Value::Null) => "shared".into(),
        (_, owner) => owner.clone(),
    }
}

fn describe(credential: &Value) -> String {
    let rows = [
        ("id", "/id"),
        ("name", "/name"),
        ("kind", "/kind"),
        ("app", "/app"),
        ("owner", "/whose"),
        ("state", "/state"),
        ("generation", "/generation"),
        ("since", "/value_since"),
        ("expires", "/expires_at"),
        ("verified", "/verified/words"),
        ("verified at", "/verified/at"),
        ("your default", "/is_default"),
        ("registered", "/registered_at"),
        ("revoked", "/revoked_at"),
        ("you can", "/allowed_actions"),
    ];
    describe_rows(credential, &rows)
}

/// Whether the terminal shows what is typed.
fn echo(shown: bool) -> anyhow::Result<()> {
    let mode = if shown { "echo" } else { "-echo" };
    let set = std::process::Command::new("stty").arg(mode).status();
    if !set.is_ok_and(|status| status.success()) {
        anyhow::bail!("the terminal cannot be told to hide the value: give it by standard input");
    }
    Ok(())
}

/// Reads a value: all of standard input, or one line at a prompt that is not shown.
fn read_value(what: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let mut text = String::new();
    if stdin.is_terminal() {
        eprint!("{what} (not shown): ");
        std::io::stderr().flush()?;
        echo(false)?;
        let read = stdin.read_line(&mut text);
        echo(true)?;
        eprintln!();
        read?;
    } else {
        stdin.lock().read_to_string(&mut text).context("standard input")?;
    }
    let value = text.trim();
    if value.is_empty() {
        return Err(CliError::usage("no value: give it by standard input, or at the prompt").into());
    }
    Ok(value.to_owned())
}
