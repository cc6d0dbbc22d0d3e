//! Git over HTTP by git's own backend (git-http-backend(1)), as a CGI program.

use std::{process::Stdio, sync::Arc};

use anyhow::Context as _;
use axum::{
    body::Body,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdout},
};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{
    Forge, Rights,
    bare::git,
    state::{NOBODY, Repository},
    token::Caller,
};

/// The most bytes of the backend's headers.
const MAX_HEADERS: u64 = 64 * 1024;

/// Serves one request for a repository.
pub(super) async fn serve(
    State(forge): State<Arc<Forge>>,
    Path((owner, name, path)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let name = name.strip_suffix(".git").unwrap_or(&name);
    let query = query.unwrap_or_default();
    let needed = match (path.as_str(), query.as_str()) {
        ("info/refs", "service=git-upload-pack") | ("git-upload-pack", _) => Rights::Read,
        ("info/refs", "service=git-receive-pack") | ("git-receive-pack", _) => Rights::Write,
        ("info/refs", _) => {
            return (StatusCode::FORBIDDEN, "Please upgrade git.\n").into_response();
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match allowed(&forge, &Caller::of(&forge, request.headers()), &owner, name, needed) {
        Err(refused) => *refused,
        Ok(repo) => {
            let path = format!("/{}.git/{path}", repo.full_name());
            backend(&forge, &path, &query, request).await.unwrap_or_else(|error| {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
            })
        }
    }
}

/// The repository, or what GitHub says to those who may not do that.
fn allowed(
    forge: &Forge,
    caller: &Caller,
    owner: &str,
    name: &str,
    needed: Rights,
) -> Result<Repository, Box<Response>> {
    let found = forge.find(owner, name);
    let rights = found.as_ref().and_then(|(repo, _)| caller.rights_to(repo));
    match (found, rights, caller) {
        (Some((repo, _)), Some(rights), _) if rights >= needed => Ok(repo),
        // Whether it is there is nobody's business who does not say who they are.
        (_, _, Caller::Anonymous | Caller::Wrong) => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
            let words = match caller {
                Caller::Wrong => "Invalid username or token.\n",
                _ => "No anonymous access to this repository.\n",
            };
            Err(Box::new((StatusCode::UNAUTHORIZED, ask, words).into_response()))
        }
        (Some((repo, _)), Some(_), _) => {
            let words = format!("Permission to {}.git denied to {NOBODY}.\n", repo.full_name());
            Err(Box::new((StatusCode::FORBIDDEN, words).into_response()))
        }
        _ => Err(Box::new((StatusCode::NOT_FOUND, "Repository not found.\n").into_response())),
    }
}

async fn backend(
    forge: &Forge,
    path: &str,
    query: &str,
    request: Request,
) -> anyhow::Result<Response> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut command = git(&forge.data);
    command
        .args(["-c", "http.receivepack=true", "-c", "receive.fsckObjects=true", "http-backend"])
        .env("GIT_PROJECT_ROOT", forge.data.join("git"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", NOBODY)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", text("content-type"))
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    // A large push comes in chunks, without a length.
    if let Some(length) = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok())
    {
        command.env("CONTENT_LENGTH", length);
    }
    let mut child = command.spawn().context("git http-backend")?;
    let mut stdin = child.stdin.take().context("no input")?;
    let stdout = BufReader::new(child.stdout.take().context("no output")?);
    let body = request.into_body().into_data_stream().map_err(std::io::Error::other);
    tokio::spawn(async move {
        // The backend may have read enough and be gone: what it answers tells.
        let _ = tokio::io::copy(&mut StreamReader::new(body), &mut stdin).await;
        let _ = stdin.shutdown().await;
    });
    answer(child, stdout).await
}

/// The answer of a CGI program: its headers, then what else it prints for as long as it runs.
async fn answer(child: Child, stdout: BufReader<ChildStdout>) -> anyhow::Result<Response> {
    let mut stdout = stdout.take(MAX_HEADERS);
    let mut answer = Response::builder();
    loop {
        let mut line = String::new();
        anyhow::ensure!(stdout.read_line(&mut line).await? > 0, "git http-backend ended early");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            answer = answer.status(value.split(' ').next().unwrap_or("500"));
        } else {
            answer = answer.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
    }
    // The child is kept until its output has been read: it is killed when it is dropped.
    let rest = ReaderStream::new(stdout.into_inner()).map_ok(move |bytes| {
        let _ = &child;
        bytes
    });
    Ok(answer.body(Body::from_stream(rest))?)
}
