//! `paddock settings …`

mod assign;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use self::assign::assign;
use super::{CliError, Client, Server, output};

#[derive(Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show the settings as they hold, and where each is from.
    Get {
        /// limits, allow-list, retention, profiles or profiles/NAME; all of them unless told otherwise.
        section: Option<Section>,
    },
    /// Change a section: `paddock settings set limits max_runs=8`.
    ///
    /// A value is JSON where it reads as such, and text otherwise. What is not named stays as it is. Variables of a
    /// profile are env.NAME=VALUE; null takes a value away. Rules of the allow-list are hosts=a.org,.b.org for all
    /// of them, or add=a.org and remove=a.org.
    #[command(verbatim_doc_comment)]
    Set {
        /// limits, allow-list, retention or profiles/NAME.
        section: Section,
        /// What to change.
        #[arg(value_name = "KEY=VALUE", required_unless_present = "file")]
        values: Vec<String>,
        /// A JSON file that holds the whole section; - for standard input.
        #[arg(long, conflicts_with = "values", value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
    /// Let a section be as configuration says again; a profile is removed.
    Unset {
        /// limits, allow-list, retention or profiles/NAME.
        section: Section,
        #[command(flatten)]
        how: How,
    },
    /// Show who changed what, the newest first.
    History {
        /// How many changes; all of them unless told otherwise.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
}

#[derive(Args)]
struct How {
    /// Only say what would change, and what is wrong with it.
    #[arg(long)]
    dry_run: bool,
    /// Refuse where the settings are at another version: that of `paddock settings get --json`.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

/// A part of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Section {
    Limits,
    AllowList,
    Retention,
    Profiles,
    Profile(String),
}

impl std::str::FromStr for Section {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "limits" => Ok(Self::Limits),
            "allow-list" => Ok(Self::AllowList),
            "retention" => Ok(Self::Retention),
            "profiles" => Ok(Self::Profiles),
            text => match text.strip_prefix("profiles/") {
                Some(name) if !name.is_empty() => Ok(Self::Profile(name.to_owned())),
                _ => Err("is limits, allow-list, retention, profiles or profiles/NAME"),
            },
        }
    }
}

impl Section {
    /// Where it is changed.
    fn path(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Limits => "settings/limits".to_owned(),
            Self::AllowList => "settings/allow-list".to_owned(),
            Self::Retention => "settings/retention".to_owned(),
            Self::Profile(name) => {
                let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
                format!("settings/profiles/{}", name.replace('+', "%20"))
            }
            Self::Profiles => {
                return Err(CliError::usage("name one profile: profiles/NAME").into());
            }
        })
    }

    /// What it holds now, out of all settings, as it is sent; none where there is no such profile.
    fn value(&self, settings: &Value) -> Option<Value> {
        match self {
            Self::Limits => Some(settings["limits"]["value"].clone()),
            Self::AllowList => Some(settings["allow_list"]["value"].clone()),
            Self::Retention => Some(settings["retention"]["value"].clone()),
            Self::Profiles => Some(settings["profiles"]["items"].clone()),
            Self::Profile(name) => {
                let mut profile = Self::shown(settings, name)?;
                if let Value::Object(fields) = &mut profile {
                    for told in ["name", "source", "configured"] {
                        fields.remove(told);
                    }
                }
                Some(profile)
            }
        }
    }

    fn shown(settings: &Value, name: &str) -> Option<Value> {
        let items = settings["profiles"]["items"].as_array()?;
        items.iter().find(|profile| profile["name"] == name).cloned()
    }

    /// The part of all settings that is shown.
    fn of(&self, settings: &Value) -> Option<Value> {
        Some(match self {
            Self::Limits => settings["limits"].clone(),
            Self::AllowList => settings["allow_list"].clone(),
            Self::Retention => settings["retention"].clone(),
            Self::Profiles => settings["profiles"].clone(),
            Self::Profile(name) => Self::shown(settings, name)?,
        })
    }
}

/// Carries out `paddock settings …`.
pub(crate) async fn settings(args: SettingsArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    match args.verb {
        Verb::Get { section } => {
            let settings = client.get("settings").await?;
            let Some(section) = section else {
                output::print(json, &settings, all);
                return Ok(ExitCode::SUCCESS);
            };
            let part = section.of(&settings).ok_or_else(|| no_profile(&section))?;
            output::print(json, &part, |part| one(&section, part));
        }
        Verb::Set { section, values, file, how } => {
            let path = section.path()?;
            let settings = client.get("settings").await?;
            let body = match file {
                Some(file) => read(&file)?,
                None => assign(section.value(&settings), &values).map_err(CliError::usage)?,
            };
            // What was read is what is changed: somebody else's change meanwhile is not undone.
            let version = how.if_version.or_else(|| settings["version"].as_u64());
            change(&client, json, Method::PUT, &path, &body, version, how.dry_run).await?;
        }
        Verb::Unset { section, how } => {
            let path = section.path()?;
            change(&client, json, Method::DELETE, &path, &json!({}), how.if_version, how.dry_run)
                .await?;
        }
        Verb::History { limit } => {
            let mut items = client.list("settings/history").await?;
            items.truncate(limit.unwrap_or(usize::MAX));
            if json {
                println!("{}", Value::from(items));
            } else if items.is_empty() {
                println!(
                    "nobody has changed anything yet: `paddock settings get` shows what holds"
                );
            } else {
                println!("{}", items.iter().map(told).collect::<Vec<_>>().join("\n\n"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn no_profile(section: &Section) -> CliError {
    let name = match section {
        Section::Profile(name) => &name[..],
        _ => "",
    };
    let message = format!("there is no profile {}", output::inert(name));
    CliError { code: super::error::NOT_FOUND, message, problem: None }
}

fn read(file: &std::path::Path) -> anyhow::Result<Value> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input")?
    } else {
        std::fs::read_to_string(file)
            .map_err(|error| CliError::usage(format!("{}: {error}", file.display())))?
    };
    let parsed = serde_json::from_str(&text);
    Ok(parsed
        .map_err(|error| CliError::usage(format!("{} is not JSON: {error}", file.display())))?)
}

async fn change(
    client: &Client,
    json: bool,
    method: Method,
    path: &str,
    body: &Value,
    version: Option<u64>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let path = if dry_run { format!("{path}?dry_run=true") } else { path.to_owned() };
    let done = client.send_at(method, &path, body, version).await?;
    output::print(json, &done, |done| {
        let lines = changes(done);
        if lines.is_empty() {
            return "nothing changes: it is so already".to_owned();
        }
        let said = if dry_run { "would change:" } else { "changed:" };
        format!("{said}\n{lines}\n{}", output::cell(done, "/effect"))
    });
    Ok(())
}

fn changes(of: &Value) -> String {
    let changes = of["changes"].as_array().into_iter().flatten();
    let lines = changes.map(|change| {
        let value = |which: &str| match &change[which] {
            Value::Null => "–".to_owned(),
            Value::String(text) => output::inert(text),
            other => output::inert(&other.to_string()),
        };
        format!("  {}: {} → {}", output::cell(change, "/field"), value("old"), value("new"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn told(change: &Value) -> String {
    let who = match &change["actor_name"] {
        Value::String(name) => output::inert(name),
        _ => output::cell(change, "/actor"),
    };
    let section = match &change["profile"] {
        Value::String(name) => format!("profiles/{}", output::inert(name)),
        _ => output::cell(change, "/section"),
    };
    let removed = change["type"] == "settings.profile.removed";
    let lines = if removed { "  removed".to_owned() } else { changes(change) };
    format!(
        "{}  {}  {section}  by {who}\n{lines}",
        output::cell(change, "/version"),
        output::cell(change, "/time")
    )
}

fn source(part: &Value) -> String {
    match part["source"]["kind"].as_str() {
        Some("changed") => format!(
            "changed by {} at {}",
            output::cell(part, "/source/actor"),
            output::cell(part, "/source/time")
        ),
        Some(kind) => format!("from {kind}"),
        None => String::new(),
    }
}

fn all(settings: &Value) -> String {
    let sections = [Section::Limits, Section::AllowList, Section::Retention, Section::Profiles];
    let titles = ["limits", "allow-list", "retention", "profiles"];
    let parts = sections.iter().zip(titles).filter_map(|(section, title)| {
        let part = section.of(settings)?;
        let origin = source(&part);
        let origin = if origin.is_empty() { origin } else { format!(" ({origin})") };
        Some(format!("{title}{origin}\n{}", one(section, &part)))
    });
    parts.collect::<Vec<_>>().join("\n\n")
}

/// One section, a line each value.
fn one(section: &Section, part: &Value) -> String {
    match section {
        Section::AllowList => {
            let hosts = part["value"]["hosts"].as_array().cloned().unwrap_or_default();
            if hosts.is_empty() {
                return "  nothing but the forge and the model".to_owned();
            }
            let lines = hosts.iter().map(|host| format!("  {}", output::cell(host, "")));
            lines.collect::<Vec<_>>().join("\n")
        }
        Section::Limits | Section::Retention => rows(&part["value"]),
        Section::Profiles => {
            let items = part["items"].as_array().cloned().unwrap_or_default();
            let line = |profile: &Value| {
                format!(
                    "  {}: {} MiB memory, {} of a core, {} s ({})",
                    output::cell(profile, "/name"),
                    output::cell(profile, "/memory_mib"),
                    profile["cpu_millis"].as_f64().unwrap_or_default() / 1000.0,
                    output::cell(profile, "/deadline_seconds"),
                    source(profile)
                )
            };
            items.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Section::Profile(_) => format!("{}\n  {}", rows(part), source(part)),
    }
}

fn rows(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let lines = fields.filter(|(name, _)| !matches!(&name[..], "source" | "configured")).map(
        |(name, value)| match value {
            Value::Null => format!("  {name:<26} –"),
            Value::String(text) => format!("  {name:<26} {}", output::inert(text)),
            other => format!("  {name:<26} {}", output::inert(&other.to_string())),
        },
    );
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_named_and_a_profiles_name_cannot_lead_elsewhere() {
        let path = |text: &str| text.parse::<Section>().unwrap().path();
        assert_eq!(path("limits").unwrap(), "settings/limits");
        assert_eq!(path("profiles/a b/../c?x").unwrap(), "settings/profiles/a%20b%2F..%2Fc%3Fx");
        assert!(path("profiles").is_err());
        assert!("profiles/".parse::<Section>().is_err());
        assert!("limit".parse::<Section>().is_err());
    }

    #[test]
    fn what_is_sent_of_a_profile_is_what_can_be_changed_of_it() {
        let settings = json!({ "profiles": { "items": [
            { "name": "x", "memory_mib": 1, "source": {}, "configured": true }
        ] } });
        let section = Section::Profile("x".to_owned());
        assert_eq!(section.value(&settings), Some(json!({ "memory_mib": 1 })));
        assert_eq!(Section::Profile("y".to_owned()).value(&settings), None);
    }

    #[test]
    fn a_change_is_told_by_who_and_as_a_diff_fit_for_a_terminal() {
        let change = json!({
            "version": 3, "time": "2026-01-01T00:00:00Z", "actor": "user:1", "actor_name": null,
            "section": "profiles", "profile": "large", "type": "settings.profile.changed",
            "changes": [{ "field": "env.A", "old": null, "new": "a\u{1b}[2J" }],
        });
        let told = told(&change);
        assert!(told.contains("profiles/large  by user:1"), "{told}");
        assert!(told.contains("env.A: – → a\\u{1b}[2J"), "{told}");
    }
}
