use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{OwnForge, REPO, WRITER};

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_pull_request_opens_a_page_that_runs_nothing() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    let hostile = "<script>alert(1)</script>";
    work.push("fix", hostile)?;
    let body = json!({
        "title": format!("A \"title\" {hostile}"), "body": hostile, "head": "fix", "base": "main",
    });
    let path = format!("/repos/{REPO}/pulls");
    let made = forge.call(Method::POST, &path, Some(WRITER), Some(body)).await?;
    let url = made.body["html_url"].as_str().context("no address")?;
    let path = url.strip_prefix(forge.serving.url()).context("another place")?;
    let page = forge.request(Method::GET, path).send().await?.error_for_status()?;
    let policy = page.headers()["content-security-policy"].to_str()?.to_owned();
    ensure!(policy.contains("default-src 'none'"), "{policy}");
    let html = page.text().await?;
    ensure!(!html.contains("<script"), "{html}");
    ensure!(html.contains("+&lt;script&gt;alert(1)"), "the diff is not there: {html}");
    ensure!(html.contains("A &quot;title&quot;"), "{html}");

    let diff = made.body["diff_url"].as_str().context("no diff")?;
    let path = diff.strip_prefix(forge.serving.url()).context("another place")?;
    let diff = forge.request(Method::GET, path).send().await?.error_for_status()?.text().await?;
    ensure!(diff.starts_with("diff --git a/work.txt b/work.txt"), "{diff}");

    for path in [format!("/{REPO}"), format!("/{REPO}/issues/1")] {
        let page = forge.request(Method::GET, &path).send().await?.error_for_status()?;
        ensure!(page.text().await?.contains("greets nobody"), "{path}");
    }
    for path in ["/octo-demo/none", "/octo-demo/greeter/pull/9", "/octo-demo/greeter/pull/x"] {
        let page = forge.request(Method::GET, path).send().await?;
        ensure!(page.status() == StatusCode::NOT_FOUND, "{path}");
    }
    Ok(())
}
