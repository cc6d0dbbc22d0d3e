use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{OwnForge, READER, REPO, WRITER};

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_touches_its_requests_and_no_others() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let prefix = format!("/api/v3/repos/{REPO}");
    forge
        .fault(json!({
            "method": "GET", "path_prefix": prefix, "skip": 1, "count": 2, "status": 503,
            "body": { "message": "down" }, "headers": { "retry-after": "7" },
        }))
        .await?;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = forge.request(Method::GET, &prefix).bearer_auth(WRITER).send().await?;
        let status = answer.status().as_u16();
        if status == 503 {
            ensure!(answer.headers()["retry-after"] == "7");
            ensure!(answer.json::<Value>().await?["message"] == "down");
        }
        statuses.push(status);
    }
    ensure!(statuses == [200, 503, 503, 200, 200], "{statuses:?}");
    forge.fault(json!({ "method": "*", "path_prefix": "/", "count": 99, "status": 500 })).await?;
    let down = forge.request(Method::GET, "/user").bearer_auth(WRITER).send().await?;
    ensure!(down.status() == StatusCode::INTERNAL_SERVER_ERROR);
    forge.request(Method::DELETE, "/_test/faults").bearer_auth(WRITER).send().await?;
    forge.get("/user").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closes_before_or_after_the_work_was_done() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    work.push("fix", "one")?;
    for (close, made) in [("before", 0), ("after", 1)] {
        let path = format!("/api/v3/repos/{REPO}/pulls");
        forge
            .fault(json!({ "method": "POST", "path_prefix": path, "count": 1, "close": close }))
            .await?;
        let answer = forge.open("fix", WRITER).await;
        ensure!(answer.is_err(), "closed {close}: {answer:?}");
        ensure!(forge.forge.pull_requests() == made, "closed {close}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_and_git_fails_when_told() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    forge
        .fault(json!({ "method": "GET", "path_prefix": "/user", "count": 1, "delay_ms": 300 }))
        .await?;
    let begin = Instant::now();
    forge.get("/user").await?;
    ensure!(begin.elapsed() >= Duration::from_millis(300));
    let prefix = format!("/{REPO}.git/git-receive-pack");
    forge
        .fault(json!({ "method": "POST", "path_prefix": prefix, "count": 1, "status": 502 }))
        .await?;
    let work = forge.clone_as("work")?;
    ensure!(work.push("fix", "one").is_err());
    work.push("fix", "two")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_are_on_record_without_a_secret() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    forge.clone_as("work")?.push("fix", "one")?;
    forge.open("fix", WRITER).await?;
    forge.call(Method::GET, "/user", Some("nonsense"), None).await?;
    let request = forge.request(Method::GET, "/_test/requests").bearer_auth(WRITER);
    let record = request.send().await?.error_for_status()?.text().await?;
    for secret in [WRITER, READER, "nonsense"] {
        ensure!(!record.contains(secret), "{secret} is on record");
    }
    let record: Value = serde_json::from_str(&record)?;
    ensure!(record["pull_requests"] == 1, "{record}");
    let requests = record["requests"].as_array().context("no list")?;
    let seen = |method: &str, path: &str, token: Value, status: u16| {
        requests.iter().any(|seen| {
            seen["method"] == method
                && seen["path"].as_str().is_some_and(|known| known.ends_with(path))
                && seen["token"] == token
                && seen["status"] == status
        })
    };
    ensure!(seen("POST", "/pulls", json!(1), 201), "{record:#}");
    ensure!(seen("POST", "/git-receive-pack", json!(1), 200), "{record:#}");
    ensure!(seen("GET", "/user", json!(0), 401), "{record:#}");
    ensure!(seen("GET", "/info/refs", Value::Null, 401), "git asks without a token first");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_that_may_do_everything_may_disturb() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    for path in ["/_test/faults", "/_test/requests"] {
        for token in [None, Some(READER), Some("nonsense")] {
            let mut request = forge.request(Method::GET, path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await?;
            ensure!(answer.status() == StatusCode::UNAUTHORIZED, "{path} {token:?}: {answer:?}");
        }
    }
    let made = json!({
        "owner": "a", "name": "b", "private": false,
        "files": { "x/run.sh": { "text": "#!/bin/sh\n", "executable": true } },
        "issues": [{ "title": "One", "body": "first" }, { "title": "Two", "body": "", "closed": true }],
    });
    let make =
        || forge.request(Method::POST, "/_test/repositories").bearer_auth(WRITER).json(&made);
    make().send().await?.error_for_status()?;
    let file = forge.get("/repos/a/b/contents/x/run.sh").await?;
    ensure!(file["type"] == "file", "{file}");
    let open = forge.get("/repos/a/b/issues").await?;
    ensure!(open.as_array().is_some_and(|open| open.len() == 1), "{open}");
    let again = make().send().await?;
    ensure!(again.status() == StatusCode::UNPROCESSABLE_ENTITY, "{again:?}");
    let outside = json!({ "owner": "a", "name": "c", "files": { "../x": { "text": "" } } });
    let request = forge.request(Method::POST, "/_test/repositories").bearer_auth(WRITER);
    let outside = request.json(&outside).send().await?;
    ensure!(outside.status() == StatusCode::UNPROCESSABLE_ENTITY, "{outside:?}");
    Ok(())
}
