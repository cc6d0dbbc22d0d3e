use std::{path::PathBuf, process::Stdio, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode, header},
    routing::any,
};
use tokio::{io::AsyncWriteExt as _, net::UnixListener, process::Command, task::JoinHandle};

use super::model::{self, Model};

/// Serves the gateway's routes for git and for the model on a Unix socket.
pub(crate) fn serve(socket: &PathBuf, forge: PathBuf, model: Arc<Model>) -> JoinHandle<()> {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).unwrap();
    let router = Router::new()
        .route("/git/{*path}", any(backend))
        .with_state(forge)
        .merge(model::router(model));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

/// git's own http-backend, as a CGI program.
async fn backend(State(forge): State<PathBuf>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/git").unwrap().to_owned();
    let text = |name| parts.headers.get(name).map_or("", |value| value.to_str().unwrap());
    // How a forge says these two.
    if path.starts_with("/acme/secret.git") {
        return plain(StatusCode::FORBIDDEN);
    }
    let repository: PathBuf = path.split('/').skip(1).take(2).collect();
    if !forge.join(repository).is_dir() {
        return plain(StatusCode::NOT_FOUND);
    }
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &forge)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", &path)
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text("content-type"))
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = to_bytes(body, usize::MAX).await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let write = tokio::spawn(async move {
        let _ = stdin.write_all(&asked).await;
    });
    let output = child.wait_with_output().await.unwrap().stdout;
    write.await.unwrap();
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut answer = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        answer = match name {
            "Status" => answer.status(value[..3].parse::<u16>().unwrap()),
            _ => answer.header(name, value),
        };
    }
    answer.body(Body::from(output[end + 4..].to_vec())).unwrap()
}

fn plain(status: StatusCode) -> Response<Body> {
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain");
    answer.body(Body::from("no\n")).unwrap()
}
