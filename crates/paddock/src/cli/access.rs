//! `paddock access …`: who has which role, and why somebody may do something.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::{CliError, Client, Server, error::NOT_ALLOWED, output};

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("SUBJECT", "/subject"),
    ("ROLE", "/role"),
    ("SCOPE", "/scope"),
    ("REPOSITORIES", "/limits"),
    ("GRANTED BY", "/granted_by"),
];

#[derive(Args)]
pub(crate) struct AccessArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the roles that hold.
    List {
        /// Those of one scope: global, session:ID or credential:ID.
        #[arg(long)]
        scope: Option<String>,
    },
    /// Give somebody a role.
    Grant {
        /// To whom: user:ID, group:NAME or kubernetes:USERNAME.
        subject: String,
        /// admin, maintainer or viewer.
        role: String,
        /// Where: global, session:ID or credential:ID.
        #[arg(long, default_value = "global")]
        scope: String,
        /// A repository that a maintainer of the installation works with: OWNER/NAME, OWNER/* or *; may be repeated.
        #[arg(long = "repo", value_name = "PATTERN")]
        repositories: Vec<String>,
    },
    /// Take a role: by its id, or by what it says.
    Revoke {
        /// The binding's id, or whose role it is.
        binding: String,
        /// The role, where it is not named by its id.
        #[arg(requires = "binding")]
        role: Option<String>,
        /// Where it holds.
        #[arg(long, default_value = "global")]
        scope: String,
    },
    /// Say whether somebody may do something, why or what is missing, and who else may. Exits with 3 where they may not.
    Explain {
        /// What is done, such as run.start.
        action: String,
        /// To what: installation, repository:OWNER/NAME, session:ID, run:ID or credential:ID.
        #[arg(default_value = "installation")]
        resource: String,
        /// Of whom: user:ID, group:NAME or kubernetes:USERNAME; oneself unless told otherwise.
        #[arg(long)]
        subject: Option<String>,
    },
}

/// Carries out `paddock access …`.
pub(crate) async fn access(args: AccessArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    match args.verb {
        Verb::List { scope } => list(&client, json, scope.as_deref()).await?,
        Verb::Grant { subject, role, scope, repositories } => {
            grant(&client, json, &subject, &role, &scope, &repositories).await?;
        }
        Verb::Revoke { binding, role, scope } => {
            let id = match role {
                None => binding,
                Some(role) => found(&client, &binding, Some(&role), &scope).await?,
            };
            revoke(&client, json, &id).await?;
        }
        Verb::Explain { action, resource, subject } => {
            let mut path = format!(
                "access/explain?action={}&resource={}",
                encoded(&action),
                encoded(&resource)
            );
            if let Some(subject) = &subject {
                path = format!("{path}&subject={}", encoded(subject));
            }
            let why = client.get(&path).await?;
            output::print(json, &why, explained);
            if why["allowed"] == false {
                return Ok(ExitCode::from(NOT_ALLOWED));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the bindings of one scope, or all.
pub(crate) async fn list(client: &Client, json: bool, scope: Option<&str>) -> anyhow::Result<()> {
    let path = match scope {
        Some(scope) => format!("role-bindings?scope={}", encoded(scope)),
        None => "role-bindings".to_owned(),
    };
    let mut items = client.list(&path).await?;
    if !json {
        for item in &mut items {
            let repositories = item["repositories"].as_array().cloned().unwrap_or_default();
            let names: Vec<&str> = repositories.iter().filter_map(Value::as_str).collect();
            item["limits"] = if names.is_empty() { Value::Null } else { names.join(" ").into() };
        }
    }
    output::print_list(json, &items, COLUMNS, "nobody was given a role here");
    Ok(())
}

/// Gives a role.
pub(crate) async fn grant(
    client: &Client,
    json: bool,
    subject: &str,
    role: &str,
    scope: &str,
    repositories: &[String],
) -> anyhow::Result<()> {
    let body =
        json!({ "subject": subject, "role": role, "scope": scope, "repositories": repositories });
    let made = client.send(Method::POST, "role-bindings", Some(&body)).await?;
    output::print(json, &made, |made| output::cell(made, "/id"));
    Ok(())
}

/// Takes a role by its id.
pub(crate) async fn revoke(client: &Client, json: bool, id: &str) -> anyhow::Result<()> {
    let answer =
        client.send(Method::DELETE, &format!("role-bindings/{}", encoded(id)), None).await?;
    output::print(json, &answer, |_| "done".to_owned());
    Ok(())
}

/// The id of somebody's role in a scope.
pub(crate) async fn found(
    client: &Client,
    subject: &str,
    role: Option<&str>,
    scope: &str,
) -> anyhow::Result<String> {
    let items = client.list(&format!("role-bindings?scope={}", encoded(scope))).await?;
    let mut held = items
        .iter()
        .filter(|item| item["subject"] == subject && role.is_none_or(|role| item["role"] == role));
    match (held.next(), held.next()) {
        (Some(binding), None) => Ok(output::cell(binding, "/id")),
        (Some(_), Some(_)) => {
            let words = format!("{subject} has several roles in {scope}; say which one");
            Err(CliError::usage(words).into())
        }
        (None, _) => Err(CliError::answered(
            404,
            json!({ "title": format!("{subject} has no such role in {scope}") }),
        )
        .into()),
    }
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn explained(why: &Value) -> String {
    let (subject, action) = (output::cell(why, "/subject"), output::cell(why, "/action"));
    let resource = output::cell(why, "/resource");
    let mut lines = vec![];
    if why["allowed"] == true {
        lines.push(format!("yes: {subject} may {action} on {resource}, because"));
        for reason in why["because"].as_array().into_iter().flatten() {
            lines.push(format!("  {}", output::cell(reason, "/words")));
        }
    } else {
        lines.push(format!(
            "no: {subject} may not {action} on {resource}; it takes the role {} in {} or wider",
            output::cell(why, "/missing/role"),
            output::cell(why, "/missing/scope"),
        ));
    }
    if let Some(who) = why["who"].as_array() {
        lines.push(if who.is_empty() { "nobody may" } else { "who may, and why:" }.to_owned());
        for holder in who {
            let words = output::cell(holder, "/because/words");
            lines.push(match holder["subject"].as_str() {
                Some(subject) => format!("  {}: {words}", output::inert(subject)),
                None => format!("  {words}"),
            });
        }
    }
    lines.join("\n")
}
