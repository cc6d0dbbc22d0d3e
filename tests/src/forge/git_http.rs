//! Git over HTTP by git's own backend (git-http-backend(1)), as a CGI program.

use std::{process::Stdio, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{Forge, rest::has_token};

/// Serves one request for a repository.
pub(super) async fn serve(
    State(forge): State<Arc<Forge>>,
    Path((owner, name, path)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    if !has_token(&forge, request.headers()) {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"forge\"")];
        return (StatusCode::UNAUTHORIZED, ask, "a token is needed\n").into_response();
    }
    let name = name.trim_end_matches(".git");
    let known = matches!(path.as_str(), "info/refs" | "git-upload-pack" | "git-receive-pack");
    if !known || forge.repository(&owner, name).is_none() {
        return (StatusCode::NOT_FOUND, "Repository not found.\n").into_response();
    }
    match backend(&forge, &format!("/{owner}/{name}.git/{path}"), request).await {
        Ok(answer) => answer,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn backend(forge: &Forge, path: &str, request: Request) -> anyhow::Result<Response> {
    let headers = request.headers().clone();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut command = Command::new("git");
    command
        .args(["-c", "safe.directory=*", "-c", "http.receivepack=true", "http-backend"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &forge.data)
        .env("GIT_PROJECT_ROOT", forge.data.join("git"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "x-access-token")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", request.uri().query().unwrap_or(""))
        .env("CONTENT_TYPE", text("content-type"))
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let length = text("content-length");
    if !length.is_empty() {
        command.env("CONTENT_LENGTH", length);
    }
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let body = request.into_body().into_data_stream().map_err(std::io::Error::other);
    tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            let _ = tokio::io::copy(&mut StreamReader::new(body), &mut stdin).await;
            let _ = stdin.shutdown().await;
        }
    });
    let mut stdout = BufReader::new(stdout.ok_or_else(|| anyhow::anyhow!("no output"))?);
    let mut answer = Response::builder();
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { continue };
        if name == "Status" {
            answer = answer.status(value.split(' ').next().unwrap_or("500"));
        } else {
            answer = answer.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
    }
    // The child is kept until its output has been read.
    let rest = ReaderStream::new(stdout).inspect_ok(move |_| {
        let _ = &child;
    });
    Ok(answer.body(Body::from_stream(rest))?)
}
