//! A forge of a test's own, and a client that lets no answer pass that GitHub's schemas do not describe.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use paddock_tests::{
    forge::{Config, Forge, NewFile, NewRepository, start},
    github_schema::Description,
    serving::Serving,
};
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};

/// The sample repository.
pub(crate) const REPO: &str = "octo-demo/greeter";
/// May do everything.
pub(crate) const WRITER: &str = "writer-token";
/// May look at the sample repository and at nothing else.
pub(crate) const READER: &str = "reader-token";
/// May do everything to one repository, which is not the sample one.
pub(crate) const STRANGER: &str = "stranger-token";

const TOKENS: &str =
    "writer-token\nreader-token read octo-demo/greeter\nstranger-token write a/b\n";

/// A forge with the sample repository.
pub(crate) struct OwnForge {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) forge: Arc<Forge>,
    pub(crate) serving: Serving,
    http: reqwest::Client,
    description: Description,
}

/// An answer of the forge's API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl OwnForge {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?).await
    }

    pub(crate) async fn start_in(dir: tempfile::TempDir) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (forge, serving) = start(Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data: dir.path().join("forge"),
            tokens: paddock_tests::forge::Token::all_in(TOKENS)?,
            seed_demo: true,
        })
        .await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { dir, forge, serving, http, description: Description::committed() })
    }

    /// Ends it and starts it on the same data.
    pub(crate) async fn restart(self) -> anyhow::Result<Self> {
        drop(self.serving);
        Self::start_in(self.dir).await
    }

    /// The address of a repository with a token in it, as git takes it.
    pub(crate) fn remote(&self, repo: &str, token: &str) -> String {
        let address = self.serving.url().replace("http://", "");
        format!("http://x-access-token:{token}@{address}/{repo}.git")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.serving.url())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// A request to the API, at both of its places in turn for those that change nothing. The answer is
    /// one that GitHub's schemas describe, or this fails.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let prefixes = if method == Method::GET { &["", "/api/v3"][..] } else { &["/api/v3"] };
        let mut last = None;
        for prefix in prefixes {
            let mut request = self.request(method.clone(), &format!("{prefix}{path}"));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = request.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = serde_json::from_slice(&answer.bytes().await?)?;
            let answer = Answer { status, headers, body };
            self.check(&method, path, &answer)?;
            last = Some(answer);
        }
        last.context("no request was made")
    }

    /// Gets, with the token that may do everything, what must be there.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.call(Method::GET, path, Some(WRITER), None).await?;
        ensure!(answer.status == StatusCode::OK, "{path}: {answer:?}");
        Ok(answer.body)
    }

    /// Opens a pull request.
    pub(crate) async fn open(&self, head: &str, token: &str) -> anyhow::Result<Answer> {
        let body = json!({
            "title": format!("From {head}"), "body": "Closes #1", "head": head, "base": "main",
        });
        let path = format!("/repos/{REPO}/pulls");
        let described = self.description.request("POST", &path)?;
        ensure!(errors(&described, &body)?.is_empty(), "the test's own request is not GitHub's");
        self.call(Method::POST, &path, Some(token), Some(body)).await
    }

    fn check(&self, method: &Method, path: &str, answer: &Answer) -> anyhow::Result<()> {
        let plain = path.split('?').next().unwrap_or_default();
        let schema = self.description.answer(method.as_str(), plain, answer.status.as_u16())?;
        let found = errors(&schema, &answer.body)?;
        ensure!(found.is_empty(), "{method} {path}: {} {found:#?}", answer.status);
        let kind = answer.headers.get(CONTENT_TYPE).context("no content type")?;
        ensure!(kind == "application/json; charset=utf-8", "{path}: {kind:?}");
        for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            let value = answer.headers.get(name).with_context(|| format!("{path}: no {name}"))?;
            value.to_str()?.parse::<u64>()?;
        }
        ensure!(answer.headers.contains_key("x-github-request-id"), "{path}: no request id");
        Ok(())
    }

    /// Asks for a fault.
    pub(crate) async fn fault(&self, fault: Value) -> anyhow::Result<()> {
        let request = self.request(Method::POST, "/_test/faults").bearer_auth(WRITER);
        request.json(&fault).send().await?.error_for_status()?;
        Ok(())
    }

    /// A clone of the sample repository, in a directory of that name.
    pub(crate) fn clone_as(&self, name: &str) -> anyhow::Result<Clone> {
        let remote = self.remote(REPO, WRITER);
        git(self.dir.path(), &["clone", "--quiet", &remote, name])?;
        Ok(Clone(self.dir.path().join(name)))
    }

    /// Makes a repository with one file.
    pub(crate) async fn make(&self, owner: &str, name: &str, private: bool) -> anyhow::Result<()> {
        let file = NewFile { text: "hello\n".to_owned(), executable: false };
        self.forge
            .create_repository(NewRepository {
                owner: owner.to_owned(),
                name: name.to_owned(),
                private,
                files: [("hello.txt".to_owned(), file)].into(),
                issues: vec![],
            })
            .await
    }
}

/// What a JSON Schema finds wrong.
pub(crate) fn errors(schema: &Value, body: &Value) -> anyhow::Result<Vec<String>> {
    if schema.is_null() {
        return Ok(if body.is_null() { vec![] } else { vec!["a body where none is due".into()] });
    }
    let validator = jsonschema::options().should_validate_formats(true).build(schema)?;
    let found = validator.iter_errors(body);
    Ok(found.map(|error| format!("{}: {error}", error.instance_path())).collect())
}

/// A clone of a repository.
pub(crate) struct Clone(pub(crate) std::path::PathBuf);

impl Clone {
    pub(crate) fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        git(&self.0, arguments)
    }

    /// Commits a line to a file on a branch, and pushes that.
    pub(crate) fn push(&self, branch: &str, line: &str) -> anyhow::Result<String> {
        self.git(&["checkout", "--quiet", "-B", branch])?;
        std::fs::write(self.0.join("work.txt"), format!("{line}\n"))?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", line])?;
        self.git(&["push", "--quiet", "--force", "origin", branch])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }
}

/// Runs git without this machine's configuration; what it complains of is the error.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("NO_PROXY", "127.0.0.1")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
