//! A forge: git's own http-backend behind a small CGI runner, bare repositories behind that.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};
use tokio_util::io::ReaderStream;

use crate::world::{FORGE_TOKEN, serve};

#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) address: SocketAddr,
    root: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The tokens that it takes beside the gateway's own.
    tokens: Arc<Mutex<Vec<String>>>,
    _dir: Arc<TempDir>,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) authorised: bool,
    /// The token that it came with.
    pub(crate) token: String,
    pub(crate) chunked: bool,
    pub(crate) protocol: Option<String>,
}

impl Forge {
    pub(crate) async fn new(repositories: &[&str]) -> Self {
        let dir = TempDir::new().expect("a directory");
        let mut forge = Self {
            address: ([0, 0, 0, 0], 0).into(),
            root: dir.path().join("repositories"),
            seen: Arc::default(),
            tokens: Arc::default(),
            _dir: Arc::new(dir),
        };
        for repository in repositories {
            forge.add(repository).await;
        }
        forge.address = serve(Router::new().fallback(cgi).with_state(forge.clone())).await;
        forge
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Takes these too.
    pub(crate) fn take(&self, tokens: &[&str]) {
        self.tokens.lock().unwrap().extend(tokens.iter().map(|token| (*token).to_owned()));
    }

    pub(crate) fn bare(&self, repository: &str) -> PathBuf {
        self.root.join(format!("{repository}.git"))
    }

    /// A bare repository with one commit on `main`.
    async fn add(&self, repository: &str) {
        let bare = self.bare(repository);
        std::fs::create_dir_all(&bare).expect("a directory");
        let script = r"
            git init -q --bare -b main . && git config http.receivepack true
            tree=$(git mktree </dev/null)
            commit=$(git -c user.name=a -c user.email=a@b.example commit-tree -m first $tree)
            git update-ref refs/heads/main $commit
            git update-ref refs/heads/other $commit";
        let done = Command::new("sh").args(["-ec", script]).current_dir(&bare).status().await;
        assert!(done.expect("sh").success());
    }
}

async fn cgi(State(forge): State<Forge>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let sent = header("authorization");
    let pair = sent.strip_prefix("Basic ").and_then(|pair| BASE64_STANDARD.decode(pair).ok());
    let pair = pair.and_then(|pair| String::from_utf8(pair).ok()).unwrap_or_default();
    let token = pair.strip_prefix("x-access-token:").unwrap_or_default().to_owned();
    let authorised = token == FORGE_TOKEN || forge.tokens.lock().unwrap().contains(&token);
    forge.seen.lock().unwrap().push(Seen {
        path: parts.uri.to_string(),
        authorised,
        token,
        chunked: header("transfer-encoding") == "chunked",
        protocol: Some(header("git-protocol")).filter(|value| !value.is_empty()),
    });
    if !authorised {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
            .headers_mut()
            .insert("www-authenticate", HeaderValue::from_static("Basic realm=\"forge\""));
        return response;
    }
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_PROJECT_ROOT", &forge.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "agent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("git http-backend");
    let mut stdin = child.stdin.take().expect("a pipe");
    tokio::spawn(async move {
        let mut body = body.into_data_stream();
        while let Some(Ok(bytes)) = body.next().await {
            if stdin.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut response = Response::new(Body::empty());
    loop {
        let mut line = String::new();
        stdout.read_line(&mut line).await.expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name == "Status" {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            *response.status_mut() =
                StatusCode::from_u16(code.expect("a status")).expect("a status");
        } else {
            let name: HeaderName = name.parse().expect("a name");
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
    }
    let stream = ReaderStream::new(stdout).map(move |part| {
        let _keep = &child;
        part
    });
    *response.body_mut() = Body::from_stream(stream);
    response
}
