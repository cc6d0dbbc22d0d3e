//! `paddock run …` and `paddock logs`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Client, Server, credential,
    error::CliError,
    follow::{self, follow, follow_new},
    output,
    session::{describe_rows, without_nulls},
};

const COLUMNS: &[(&str, &str)] = &[
    ("ID", "/id"),
    ("REPOSITORY", "/repo"),
    ("STATE", "/state"),
    ("REASON", "/reason"),
    ("PULL REQUEST", "/pull_request/url"),
];

#[derive(Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    server: Server,
    /// The run.
    run: String,
    /// Go on until the run has ended.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Reply {
    /// This once.
    Once,
    /// This and the like of it, for the rest of the agent's session.
    Always,
    /// No.
    Reject,
}

#[derive(Subcommand)]
enum Verb {
    /// Start a run of a session.
    Start {
        /// The session.
        session: String,
        /// What the agent is to do; `-` reads it from standard input.
        #[arg(long)]
        prompt: String,
        /// The harness profile.
        #[arg(long)]
        profile: Option<String>,
        /// What it may reach beside the model: `github`, its repository, or `full`, any public host.
        #[arg(long, value_name = "MODE", value_parser = ["github", "full"])]
        egress: Option<String>,
        /// Why it is to reach more than GitHub; kept on the record.
        #[arg(long, value_name = "REASON", requires = "egress")]
        egress_reason: Option<String>,
        /// The credential that its requests to the forge carry, by id or name; or `installation` for the
        /// installation's own. Your only one, where there is one, unless told otherwise.
        #[arg(long, value_name = "CREDENTIAL")]
        credential: Option<String>,
        /// Make the pull request a draft.
        #[arg(long)]
        draft: bool,
        /// How many seconds the run stays for further prompts when its turn is over.
        #[arg(long, value_name = "SECONDS")]
        linger: Option<u32>,
        /// How many seconds the run may take.
        #[arg(long, value_name = "SECONDS")]
        deadline: Option<u32>,
        /// Print what happens until the run has ended.
        #[arg(long)]
        follow: bool,
    },
    /// List runs, the newest first.
    List {
        /// Those of one session.
        #[arg(long)]
        session: Option<String>,
    },
    /// Show one run.
    Get { run: String },
    /// Print what happens until the run has ended.
    Follow { run: String },
    /// Tell the agent something more, in a run that works or is idle.
    Prompt {
        run: String,
        /// The prompt; `-` reads it from standard input.
        #[arg(long)]
        prompt: String,
    },
    /// Stop the turn, keep the run.
    Interrupt { run: String },
    /// Publish and end now.
    Finish { run: String },
    /// End without publishing; the session can go on from there.
    Cancel { run: String },
    /// Try again to open the pull request of a run that ended without one.
    Publish { run: String },
    /// Answer a permission or a question.
    Answer {
        run: String,
        /// The id of what is asked, from `paddock run get`.
        input: String,
        /// The answer to a permission.
        #[arg(long, value_enum, conflicts_with = "answer")]
        reply: Option<Reply>,
        /// Words for the agent with a rejection.
        #[arg(long, requires = "reply")]
        message: Option<String>,
        /// The answer to a question; once for each question it has.
        #[arg(long)]
        answer: Vec<String>,
    },
    /// Print the branch's diff against its base.
    Changes { run: String },
    /// Print the run's time line.
    Events { run: String },
    /// Print what the run reached and was refused outside; with --mode, change what it may reach.
    Egress {
        run: String,
        /// What it may reach from now on: `github`, its repository, or `full`, any public host.
        #[arg(long, value_name = "MODE", value_parser = ["github", "full"])]
        mode: Option<String>,
        /// Why; kept on the record. Needed for `full`.
        #[arg(long, value_name = "REASON", requires = "mode")]
        reason: Option<String>,
    },
}

/// Carries out `paddock run …`.
pub(crate) async fn run(args: RunArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    match args.verb {
        Verb::Start {
            session,
            prompt,
            profile,
            egress,
            egress_reason,
            credential,
            draft,
            linger,
            deadline,
            follow: stay,
        } => {
            let credential = match credential.as_deref() {
                None | Some("installation") => credential,
                Some(name) => Some(credential::id_of(&client, name).await?),
            };
            let body = without_nulls(json!({
                "prompt": read_prompt(prompt)?,
                "profile": profile,
                "egress": egress,
                "egress_reason": egress_reason,
                "credential": credential,
                "draft": draft.then_some(true),
                "linger_seconds": linger,
                "deadline_seconds": deadline,
            }));
            let path = format!("sessions/{session}/runs");
            let made = client.send(Method::POST, &path, Some(&body)).await?;
            if !(stay && json) {
                output::print(json, &made, |made| output::cell(made, "/id"));
            }
            if stay {
                return Ok(follow_new(&client, &made, json).await?.exit_code());
            }
        }
        Verb::List { session } => {
            let path = match session {
                Some(session) => format!("sessions/{session}/runs"),
                None => "runs".to_owned(),
            };
            let items = client.list(&path).await?;
            output::print_list(json, &items, COLUMNS, "no runs yet");
        }
        Verb::Get { run } => {
            let run = client.get(&format!("runs/{run}")).await?;
            output::print(json, &run, describe);
        }
        Verb::Follow { run } => return Ok(follow(&client, &run, json).await?.exit_code()),
        Verb::Prompt { run, prompt } => {
            let body = json!({ "prompt": read_prompt(prompt)? });
            command(&client, json, &run, "prompts", Some(&body)).await?;
        }
        Verb::Interrupt { run } => command(&client, json, &run, "interrupt", None).await?,
        Verb::Finish { run } => command(&client, json, &run, "finish", None).await?,
        Verb::Cancel { run } => command(&client, json, &run, "cancel", None).await?,
        Verb::Publish { run } => command(&client, json, &run, "publish", None).await?,
        Verb::Answer { run, input, reply, message, answer } => {
            let body = answer_body(reply, message.as_deref(), answer)?;
            command(&client, json, &run, &format!("inputs/{input}"), Some(&body)).await?;
        }
        Verb::Changes { run } => {
            let changes = client.get(&format!("runs/{run}/changes")).await?;
            output::print(json, &changes, |changes| output::cell(changes, "/diff"));
        }
        Verb::Events { run } => {
            let items = client.list(&format!("runs/{run}/events")).await?;
            let columns =
                [("TIME", "/time"), ("WHAT", "/type"), ("WHO", "/actor"), ("", "/summary")];
            if json {
                output::print_list(json, &items, &columns, "nothing happened yet");
            } else {
                output::print_with_texts(&items, &columns, "/text", "nothing happened yet");
            }
        }
        Verb::Egress { run, mode: Some(mode), reason } => {
            let body = without_nulls(json!({ "mode": mode, "reason": reason }));
            let path = format!("runs/{run}/egress");
            let answer = client.send(Method::PUT, &path, Some(&body)).await?;
            output::print(json, &answer, |_| "done".to_owned());
        }
        Verb::Egress { run, mode: None, .. } => {
            let items = client.list(&format!("runs/{run}/egress")).await?;
            let columns = [
                ("TIME", "/at"),
                ("VERDICT", "/verdict"),
                ("KIND", "/kind"),
                ("HOST", "/host"),
                ("RULE", "/rule"),
            ];
            output::print_list(json, &items, &columns, "nothing was reached or refused");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries out `paddock logs`.
pub(crate) async fn logs(args: LogsArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::find(&args.server)?;
    follow::logs(&client, &args.run, args.follow, json).await?;
    Ok(ExitCode::SUCCESS)
}

async fn command(
    client: &Client,
    json: bool,
    run: &str,
    verb: &str,
    body: Option<&Value>,
) -> anyhow::Result<()> {
    let answer = client.send(Method::POST, &format!("runs/{run}/{verb}"), body).await?;
    output::print(json, &answer, |_| "done".to_owned());
    Ok(())
}

fn read_prompt(prompt: String) -> anyhow::Result<String> {
    if prompt == "-" { Ok(std::io::read_to_string(std::io::stdin())?) } else { Ok(prompt) }
}

fn answer_body(
    reply: Option<Reply>,
    message: Option<&str>,
    answer: Vec<String>,
) -> Result<Value, CliError> {
    match reply {
        Some(Reply::Once) => Ok(json!({ "reply": "once" })),
        Some(Reply::Always) => Ok(json!({ "reply": "always" })),
        Some(Reply::Reject) => Ok(without_nulls(json!({ "reply": "reject", "message": message }))),
        None if !answer.is_empty() => {
            let answers: Vec<Vec<String>> = answer.into_iter().map(|one| vec![one]).collect();
            Ok(json!({ "answers": answers }))
        }
        None => Err(CliError::usage(
            "give --reply once|always|reject for a permission, or --answer TEXT for a question",
        )),
    }
}

fn describe(run: &Value) -> String {
    let mut run = run.clone();
    run["credential_words"] = match (&run["credential"]["name"], &run["credential"]["generation"]) {
        (Value::String(name), Value::Null) => format!("{name}, not used yet").into(),
        (Value::String(name), generation) => format!("{name}, generation {generation}").into(),
        _ => "the installation's own".into(),
    };
    let rows = [
        ("id", "/id"),
        ("state", "/state"),
        ("reason", "/reason"),
        ("outcome", "/outcome"),
        ("repository", "/repo"),
        ("branch", "/branch"),
        ("prompt", "/prompt"),
        ("pull request", "/pull_request/url"),
        ("workload", "/generation"),
        ("sandbox", "/sandbox"),
        ("egress", "/egress"),
        ("credential", "/credential_words"),
        ("tokens in", "/usage/input_tokens"),
        ("tokens out", "/usage/output_tokens"),
        ("created", "/created_at"),
        ("started", "/started_at"),
        ("finished", "/finished_at"),
        ("you can", "/allowed_actions"),
        ("asks", "/inputs"),
    ];
    describe_rows(&run, &rows)
}
