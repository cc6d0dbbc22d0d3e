//! `paddock login`, `paddock logout`, `paddock whoami`.

use std::{io::Write as _, process::ExitCode, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use url::Url;

use super::{
    Client, Server,
    error::CliError,
    in_database::InDatabase,
    output,
    session::describe_rows,
    store::{Kept, Store},
};

/// How long a person may take on the page.
const PATIENCE: Duration = Duration::from_mins(10);

/// `paddock login`'s flags.
#[derive(Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    server: Server,
    /// Open no browser and listen nowhere: the page shows a code to paste here.
    #[arg(long)]
    no_browser: bool,
    /// For how many days the token is good, 1 to 90.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=90))]
    days: Option<u32>,
    #[command(flatten)]
    in_database: InDatabase,
}

/// `paddock logout`'s and `paddock whoami`'s flags.
#[derive(Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    server: Server,
}

/// Signs in at a server that is named; otherwise prints a new sign-in link of a running `paddock up`.
pub(crate) async fn login(args: LoginArgs, json: bool) -> anyhow::Result<ExitCode> {
    if args.in_database.asked {
        return args.in_database.make(json).await;
    }
    let Some(server) = &args.server.url else {
        let client = Client::find(&args.server)?;
        let made = client.send(Method::POST, "sign-in-links", None).await?;
        output::print(json, &made, |made| output::cell(made, "/url"));
        return Ok(ExitCode::SUCCESS);
    };
    let server = address(server)?;
    let client = Client::new(server.as_str(), "")?;
    let how = client.get("sign-in").await?;
    if how["method"] != "oidc" {
        return Err(CliError::usage(format!(
            "{server} has one user, who signs in on its own machine: run `paddock login` there, without \
             --server"
        ))
        .into());
    }
    let verifier = random()?;
    let ask = Ask { server: &server, challenge: base64url(&Sha256::digest(&verifier)) };
    let code =
        if args.no_browser { ask.by_hand(args.days)? } else { ask.by_loopback(args.days).await? };
    let body = json!({ "code": code, "verifier": verifier });
    let taken = client.send(Method::POST, "cli-tokens", Some(&body)).await?;
    let kept = Kept {
        url: server.to_string(),
        id: serde_json::from_value(taken["id"].clone()).context("the token's id")?,
        token: taken["token"].as_str().context("the token")?.to_owned(),
        expires_at: serde_json::from_value(taken["expires_at"].clone()).context("its end")?,
    };
    let me = Client::new(server.as_str(), &kept.token)?.get("me").await?;
    Store::of_user()?.put(&server, &kept)?;
    output::print(json, &me, |me| {
        format!("signed in at {server} as {}, until {}", name(me), kept.expires_at)
    });
    Ok(ExitCode::SUCCESS)
}

/// Revokes the token that `paddock login` got and forgets it.
pub(crate) async fn logout(args: ServerArgs, json: bool) -> anyhow::Result<ExitCode> {
    let server = args.server.url.as_deref().ok_or_else(|| {
        CliError::usage(
            "name the server that `paddock login` signed in at: --server or PADDOCK_URL",
        )
    })?;
    let server = address(server)?;
    let store = Store::of_user()?;
    let kept = store.get(&server)?.ok_or_else(|| {
        CliError::usage(format!("nobody is signed in at {server} by `paddock login` here"))
    })?;
    let client = Client::new(server.as_str(), &kept.token)?;
    let revoked = client.send(Method::DELETE, &format!("tokens/{}", kept.id), None).await;
    store.remove(&server)?;
    match revoked {
        Ok(_) => {}
        // It worked no longer.
        Err(error) if error.downcast_ref::<CliError>().is_some_and(|known| known.code == 3) => {}
        Err(error) => {
            return Err(error.context(format!(
                "the token is forgotten here, and still works until {}: revoke it on the page",
                kept.expires_at
            )));
        }
    }
    output::print(json, &json!({ "signed_out": server }), |_| format!("signed out of {server}"));
    Ok(ExitCode::SUCCESS)
}

/// Says who one is at the server, and by what.
pub(crate) async fn whoami(args: ServerArgs, json: bool) -> anyhow::Result<ExitCode> {
    let me = Client::find(&args.server)?.get("me").await?;
    output::print(json, &me, |me| {
        let groups = match me["groups"].as_array() {
            None => "unknown".to_owned(),
            Some(all) if all.is_empty() => "none".to_owned(),
            Some(all) => {
                let names = all.iter().filter_map(Value::as_str).map(output::inert);
                names.collect::<Vec<_>>().join(", ")
            }
        };
        let rows = [
            ("name", "/name"),
            ("e-mail", "/email"),
            ("id", "/id"),
            ("provider", "/issuer"),
            ("by", "/by"),
            ("role at most", "/scope/role"),
            ("session", "/scope/session"),
            ("until", "/expires_at"),
        ];
        format!("{}\n{:<13} {groups}", describe_rows(me, &rows), "groups")
    });
    Ok(ExitCode::SUCCESS)
}

/// A server's address, to which a token may be sent.
pub(super) fn address(text: &str) -> anyhow::Result<Url> {
    let mut url: Url = text.parse().map_err(|error| {
        CliError::usage(format!(
            "{text} is not an address such as https://paddock.example.org: {error}"
        ))
    })?;
    let is_near = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_near) {
        return Err(CliError::usage(format!(
            "{text}: a token is sent over https alone, or to this machine itself"
        ))
        .into());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn name(me: &Value) -> String {
    let known = ["/name", "/email", "/id"].into_iter();
    let mut known = known.filter(|field| me.pointer(field).is_some_and(Value::is_string));
    output::cell(me, known.next().unwrap_or("/id"))
}

/// What a person is asked on the page.
struct Ask<'a> {
    server: &'a Url,
    challenge: String,
}

impl Ask<'_> {
    fn url(&self, more: &[(&str, &str)], days: Option<u32>) -> anyhow::Result<Url> {
        let mut url = self.server.join("/cli")?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        url.query_pairs_mut()
            .append_pair("challenge", &self.challenge)
            .append_pair("host", host.trim())
            .extend_pairs(more);
        if let Some(days) = days {
            url.query_pairs_mut().append_pair("days", &days.to_string());
        }
        Ok(url)
    }

    /// The person pastes the code here.
    fn by_hand(&self, days: Option<u32>) -> anyhow::Result<String> {
        eprintln!(
            "open this in a browser, and let this command line in:\n\n  {}\n",
            self.url(&[], days)?
        );
        eprint!("the code that the page shows: ");
        std::io::stderr().flush()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        let code = line.trim();
        if code.is_empty() {
            return Err(CliError::usage("no code was given").into());
        }
        Ok(code.to_owned())
    }

    /// The page sends the browser to this machine with the code.
    async fn by_loopback(&self, days: Option<u32>) -> anyhow::Result<String> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port().to_string();
        let state = random()?;
        let url = self.url(&[("port", &port), ("state", &state)], days)?;
        let (sender, mut codes) = mpsc::channel(1);
        let expects = Expects { state, sender, server: self.server.clone() };
        let router = Router::new().route("/callback", get(come_back)).with_state(expects);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        eprintln!(
            "open this in a browser on this machine, and let this command line in:\n\n  {url}\n"
        );
        open_browser(&url);
        eprintln!("waiting … (elsewhere, or without a browser: `paddock login --no-browser`)");
        let code = tokio::time::timeout(PATIENCE, codes.recv()).await;
        // The browser still reads the answer.
        tokio::time::sleep(Duration::from_millis(100)).await;
        serving.abort();
        match code {
            Ok(Some(Some(code))) => Ok(code),
            Ok(_) => Err(CliError {
                code: super::error::NOT_ALLOWED,
                message: "the page did not let this command line in".to_owned(),
                problem: None,
            }
            .into()),
            Err(_) => {
                Err(CliError::usage("nobody let this command line in within ten minutes").into())
            }
        }
    }
}

#[derive(Clone)]
struct Expects {
    state: String,
    sender: mpsc::Sender<Option<String>>,
    server: Url,
}

/// What the browser comes with.
#[derive(Deserialize)]
struct Callback {
    state: String,
    code: Option<String>,
}

async fn come_back(State(expects): State<Expects>, Query(callback): Query<Callback>) -> Response {
    // By their digests: how far a wrong one is right takes no different time.
    if Sha256::digest(&callback.state) != Sha256::digest(&expects.state) {
        return (StatusCode::BAD_REQUEST, "This is not what `paddock login` waits for.\n")
            .into_response();
    }
    let words = match &callback.code {
        Some(_) => "You are signed in. Go on in the terminal; this window can be closed.",
        None => "This command line was not let in. This window can be closed.",
    };
    let _ = expects.sender.try_send(callback.code);
    let host = expects.server.host_str().unwrap_or_default();
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Paddock</title>\
         <p style=\"font:16px system-ui;margin:20vh auto;max-width:30em;text-align:center\">{words} ({host})"
    );
    (
        [
            ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
            ("cache-control", "no-store"),
        ],
        Html(page),
    )
        .into_response()
}

/// Opens the person's browser, where this machine has one; it is no matter if it has none.
fn open_browser(url: &Url) {
    let has_screen =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if has_screen {
        "xdg-open"
    } else {
        return;
    };
    let nothing = std::process::Stdio::null;
    let _ = std::process::Command::new(program)
        .arg(url.as_str())
        .stdin(nothing())
        .stdout(nothing())
        .stderr(nothing())
        .spawn();
}

/// 256 random bits, in base64url.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(base64url(&bytes))
}

fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_over_https_or_to_this_machine_alone() {
        for text in [
            "https://paddock.test",
            "http://127.0.0.1:7080",
            "http://[::1]:7080",
            "http://localhost",
        ] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in
            ["http://paddock.test", "paddock.test", "ftp://127.0.0.1", "http://127.0.0.1.evil.test"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn only_the_page_that_was_asked_brings_a_code() {
        let (sender, mut codes) = mpsc::channel(1);
        let server = Url::parse("https://paddock.test").unwrap();
        let expects = Expects { state: "right".to_owned(), sender, server };
        let come = |state: &str| Callback { state: state.to_owned(), code: Some("c".to_owned()) };
        let wrong = come_back(State(expects.clone()), Query(come("wrong"))).await;
        assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
        assert!(codes.try_recv().is_err());
        let right = come_back(State(expects), Query(come("right"))).await;
        assert_eq!(right.status(), StatusCode::OK);
        assert_eq!(codes.try_recv().unwrap().as_deref(), Some("c"));
    }
}
