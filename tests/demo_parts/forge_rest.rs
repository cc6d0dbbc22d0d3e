use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use paddock_tests::github_schema::Description;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, OwnForge, READER, REPO, STRANGER, WRITER, git};

fn message(answer: &Answer) -> &str {
    answer.body["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_in_use_answers_as_its_schema_says() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    let sha = work.push("feature/x", "one")?;
    let number = forge.open("feature/x", WRITER).await?.body["number"].as_u64();
    ensure!(number == Some(2), "issues and pull requests share their numbers: {number:?}");
    let repo = format!("/repos/{REPO}");
    ensure!(forge.get("/user").await?["login"] == "octo-bot");
    let described = forge.get(&repo).await?;
    ensure!(described["default_branch"] == "main" && described["permissions"]["push"] == true);
    let branch = forge.get(&format!("{repo}/branches/feature/x")).await?;
    ensure!(branch["commit"]["sha"] == sha.as_str(), "{branch}");
    ensure!(branch["commit"]["commit"]["message"] == "one", "{branch}");
    // As clients write a slash that belongs to the name.
    let branch = forge.get(&format!("{repo}/branches/feature%2Fx")).await?;
    ensure!(branch["name"] == "feature/x", "{branch}");
    let reference = forge.get(&format!("{repo}/git/ref/heads/feature/x")).await?;
    ensure!(reference["object"]["sha"] == sha.as_str(), "{reference}");
    let pull = forge.get(&format!("{repo}/pulls/2")).await?;
    ensure!(pull["head"]["sha"] == sha.as_str() && pull["mergeable"] == true, "{pull}");
    ensure!(pull["commits"] == 1 && pull["additions"] == 1 && pull["changed_files"] == 1, "{pull}");
    let patch = json!({ "title": "Another title" });
    let path = format!("{repo}/pulls/2");
    let changed = forge.call(Method::PATCH, &path, Some(WRITER), Some(patch)).await?;
    ensure!(changed.body["title"] == "Another title", "{changed:?}");
    let issue = forge.get(&format!("{repo}/issues/1")).await?;
    ensure!(issue["title"].as_str().is_some_and(|title| title.contains("greets nobody")));
    forge.get(&format!("{repo}/pulls?state=all")).await?;
    forge.get(&format!("{repo}/contents/greet.sh")).await?;

    // Each is asked somewhere in these tests; here that none was forgotten.
    let asked = [
        "GET /user",
        "GET /repos/{owner}/{repo}",
        "GET /repos/{owner}/{repo}/branches",
        "GET /repos/{owner}/{repo}/branches/{branch}",
        "GET /repos/{owner}/{repo}/contents/{path}",
        "GET /repos/{owner}/{repo}/git/ref/{ref}",
        "GET /repos/{owner}/{repo}/issues",
        "GET /repos/{owner}/{repo}/issues/{issue_number}",
        "GET /repos/{owner}/{repo}/pulls",
        "POST /repos/{owner}/{repo}/pulls",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}",
        "PATCH /repos/{owner}/{repo}/pulls/{pull_number}",
    ];
    let operations = Description::committed().operations();
    let operations: BTreeSet<String> =
        operations.iter().map(|(method, path)| format!("{method} {path}")).collect();
    ensure!(operations == asked.map(str::to_owned).into(), "{operations:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_that_link_to_each_other() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let bare = forge.forge.bare_repository("octo-demo", "greeter").context("no repository")?;
    for number in 0..6 {
        git(&bare, &["branch", &format!("b{number}"), "main"])?;
    }
    let mut names = Vec::new();
    let mut next = Some(format!("/repos/{REPO}/branches?per_page=3"));
    while let Some(path) = next {
        let answer = forge.call(Method::GET, &path, Some(WRITER), None).await?;
        let page = answer.body.as_array().context("no list")?;
        ensure!(!page.is_empty() && page.len() <= 3, "{page:?}");
        names.extend(page.iter().filter_map(|branch| branch["name"].as_str().map(str::to_owned)));
        let links = answer.headers.get("link").and_then(|links| links.to_str().ok());
        next = links.unwrap_or_default().split(", ").find_map(|link| {
            let url = link.strip_suffix("; rel=\"next\"")?.trim_matches(['<', '>']);
            Some(url.split_once("/api/v3")?.1.to_owned())
        });
    }
    ensure!(names == ["b0", "b1", "b2", "b3", "b4", "b5", "main"], "{names:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_a_repository_is_told_that_there_is_none() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    forge.make("octo-demo", "open", false).await?;
    let private = format!("/repos/{REPO}");
    for (path, token, status) in [
        (private.as_str(), None, 404),
        (&private, Some(STRANGER), 404),
        (&private, Some(READER), 200),
        (&private, Some("nonsense"), 401),
        ("/repos/octo-demo/open", None, 200),
        ("/repos/octo-demo/open", Some(STRANGER), 200),
        ("/repos/octo-demo/open", Some("nonsense"), 401),
        ("/repos/octo-demo/none", Some(WRITER), 404),
        ("/repos/octo-demo/.x", Some(WRITER), 404),
        ("/repos/OCTO-Demo/Greeter", Some(WRITER), 200),
        ("/user", None, 401),
        ("/user", Some("nonsense"), 401),
        ("/user", Some(READER), 200),
    ] {
        let answer = forge.call(Method::GET, path, token, None).await?;
        ensure!(answer.status.as_u16() == status, "{path} {token:?}: {answer:?}");
    }
    let read = forge.call(Method::GET, &private, Some(READER), None).await?;
    ensure!(read.body["permissions"]["push"] == false, "{read:?}");
    ensure!(read.body["full_name"] == REPO, "{read:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_refused_in_githubs_words() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    work.push("fix", "one")?;
    work.git(&["push", "--quiet", "origin", "origin/main:refs/heads/same"])?;
    let path = format!("/repos/{REPO}/pulls");
    let post = |token, body: Value| forge.call(Method::POST, &path, Some(token), Some(body));

    let none = post(WRITER, json!({ "title": "x", "head": "nowhere", "base": "main" })).await?;
    ensure!(none.status == StatusCode::UNPROCESSABLE_ENTITY, "{none:?}");
    let wanted = json!([{ "resource": "PullRequest", "field": "head", "code": "invalid" }]);
    ensure!(none.body["errors"] == wanted, "{none:?}");
    let none = post(WRITER, json!({ "title": "x", "head": "fix", "base": "nowhere" })).await?;
    ensure!(none.body["errors"][0]["field"] == "base", "{none:?}");
    let none = post(WRITER, json!({ "title": "x", "head": "other:fix", "base": "main" })).await?;
    ensure!(none.body["errors"][0]["field"] == "head", "{none:?}");

    let same = post(WRITER, json!({ "title": "x", "head": "same", "base": "main" })).await?;
    ensure!(same.status == StatusCode::UNPROCESSABLE_ENTITY, "{same:?}");
    ensure!(same.body["errors"][0]["message"] == "No commits between main and same", "{same:?}");

    let untitled = post(WRITER, json!({ "title": " ", "head": "fix", "base": "main" })).await?;
    ensure!(untitled.body["errors"][0]["code"] == "missing_field", "{untitled:?}");
    let headless = post(WRITER, json!({ "title": "x" })).await?;
    ensure!(message(&headless).contains("\"base\", \"head\" weren't supplied"), "{headless:?}");
    let wrong = post(WRITER, json!({ "title": 1, "head": "fix", "base": "main" })).await?;
    ensure!(message(&wrong).contains("properties/title"), "{wrong:?}");
    let cut = forge.request(Method::POST, &format!("/api/v3{path}")).bearer_auth(WRITER);
    let cut = cut.body("{\"title\":").send().await?;
    ensure!(cut.status() == StatusCode::BAD_REQUEST, "{cut:?}");

    let refused = forge.open("fix", READER).await?;
    ensure!(refused.status == StatusCode::FORBIDDEN, "{refused:?}");
    ensure!(message(&refused).starts_with("Resource not accessible"), "{refused:?}");
    let hidden = forge.open("fix", STRANGER).await?;
    ensure!(hidden.status == StatusCode::NOT_FOUND, "{hidden:?}");
    ensure!(forge.forge.pull_requests() == 0);

    let made = forge.open("fix", WRITER).await?;
    ensure!(made.status == StatusCode::CREATED, "{made:?}");
    let again = forge.open("octo-demo:fix", WRITER).await?;
    ensure!(again.status == StatusCode::UNPROCESSABLE_ENTITY, "{again:?}");
    let words = "A pull request already exists for octo-demo:fix.";
    ensure!(again.body["errors"][0]["message"] == words, "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_pull_request_is_made() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    forge.clone_as("work")?.push("fix", "one")?;
    let tries = (0..16).map(|_| forge.open("fix", WRITER));
    let answers = futures::future::try_join_all(tries).await?;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    ensure!(made == 1 && forge.forge.pull_requests() == 1, "{made} were made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_requests_are_found_by_head_base_and_state() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    for branch in ["one", "two"] {
        work.git(&["checkout", "--quiet", "origin/main"])?;
        work.push(branch, branch)?;
        forge.open(branch, WRITER).await?;
    }
    let numbers = async |query: &str| -> anyhow::Result<Vec<u64>> {
        let list = forge.get(&format!("/repos/{REPO}/pulls{query}")).await?;
        let list = list.as_array().context("no list")?;
        Ok(list.iter().filter_map(|pull| pull["number"].as_u64()).collect())
    };
    ensure!(numbers("").await? == [3, 2], "the newest is first");
    ensure!(numbers("?direction=asc").await? == [2, 3]);
    ensure!(numbers("?head=octo-demo:one&base=main").await? == [2]);
    ensure!(numbers("?head=octo-demo%3Aone&base=other").await?.is_empty());
    ensure!(numbers("?head=other:one").await?.is_empty());
    let close = json!({ "state": "closed" });
    let path = format!("/repos/{REPO}/pulls/2");
    let closed = forge.call(Method::PATCH, &path, Some(WRITER), Some(close)).await?;
    ensure!(closed.body["state"] == "closed" && closed.body["merged"] == false, "{closed:?}");
    ensure!(numbers("").await? == [3] && numbers("?state=closed").await? == [2]);
    ensure!(numbers("?state=all&per_page=1&page=2").await? == [2]);
    // Closed, it is not in the way of another.
    let again = forge.open("one", WRITER).await?;
    ensure!(again.body["number"] == 4, "{again:?}");
    // Pull requests are in GitHub's lists of issues too.
    let issues = forge.get(&format!("/repos/{REPO}/issues?state=open")).await?;
    let kinds = issues.as_array().context("no list")?;
    let kinds: Vec<bool> = kinds.iter().map(|it| it["pull_request"].is_object()).collect();
    ensure!(kinds == [true, true, false], "{issues:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_move_merge_and_close_pull_requests() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    let state = async |number: u64| forge.get(&format!("/repos/{REPO}/pulls/{number}")).await;
    work.push("fix", "one")?;
    forge.open("fix", WRITER).await?;
    let second = work.push("fix", "two")?;
    let moved = state(2).await?;
    ensure!(moved["head"]["sha"] == second.as_str() && moved["commits"] == 2, "{moved}");

    // The same file on main, another way.
    work.git(&["checkout", "--quiet", "-B", "main", "origin/main"])?;
    work.push("main", "otherwise")?;
    let dirty = state(2).await?;
    ensure!(dirty["mergeable"] == false && dirty["mergeable_state"] == "dirty", "{dirty}");

    work.git(&["merge", "--quiet", "--strategy=ours", "--message", "Merge", "fix"])?;
    work.git(&["push", "--quiet", "origin", "main"])?;
    let merged = state(2).await?;
    ensure!(merged["merged"] == true && merged["state"] == "closed", "{merged}");

    work.push("gone", "three")?;
    forge.open("gone", WRITER).await?;
    work.git(&["push", "--quiet", "origin", ":gone"])?;
    let closed = state(3).await?;
    ensure!(closed["state"] == "closed" && closed["merged"] == false, "{closed}");
    ensure!(closed["head"]["sha"].as_str().is_some_and(|sha| sha.len() == 40), "{closed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_are_those_of_the_reference() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    let work = forge.clone_as("work")?;
    std::fs::create_dir_all(work.0.join(".github"))?;
    let template = "## What\n\nÄ long line: ".to_owned() + &"x".repeat(100);
    std::fs::write(work.0.join(".github/PULL_REQUEST_TEMPLATE.md"), &template)?;
    std::os::unix::fs::symlink("greet.sh", work.0.join("link"))?;
    work.push("docs", "one")?;
    let contents = |path: &str| format!("/repos/{REPO}/contents{path}");
    let path = contents("/.github/PULL_REQUEST_TEMPLATE.md");
    let file = forge.get(&format!("{path}?ref=docs")).await?;
    let lines: String = file["content"].as_str().context("no content")?.split('\n').collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(lines)?;
    ensure!(bytes == template.as_bytes() && file["size"] == template.len(), "{file}");
    let absent = forge.call(Method::GET, &path, Some(WRITER), None).await?;
    ensure!(absent.status == StatusCode::NOT_FOUND, "it is not on main: {absent:?}");
    let unknown = forge.call(Method::GET, &format!("{path}?ref=no"), Some(WRITER), None).await?;
    ensure!(message(&unknown) == "No commit found for the ref no", "{unknown:?}");
    let link = forge.get(&format!("{}?ref=docs", contents("/link"))).await?;
    ensure!(link["type"] == "symlink" && link["target"] == "greet.sh", "{link}");
    let root = forge.get(&format!("{}?ref=docs", contents("/"))).await?;
    let names: Vec<_> = root.as_array().context("no list")?.iter().map(|it| &it["name"]).collect();
    let wanted = [".github", "AGENTS.md", "README.md", "greet.sh", "link", "test.sh", "work.txt"];
    ensure!(names == wanted, "{names:?}");
    let odd = forge.call(Method::GET, &contents("/*"), Some(WRITER), None).await?;
    ensure!(odd.status == StatusCode::NOT_FOUND, "a path is no pattern: {odd:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_requests_and_issues_outlive_a_restart() -> anyhow::Result<()> {
    let forge = OwnForge::start().await?;
    forge.clone_as("work")?.push("fix", "one")?;
    let made = forge.open("fix", WRITER).await?;
    let forge = forge.restart().await?;
    let kept = forge.get(&format!("/repos/{REPO}/pulls/2")).await?;
    ensure!(kept["created_at"] == made.body["created_at"] && kept["body"] == "Closes #1");
    let issues = forge.get(&format!("/repos/{REPO}/issues?state=all")).await?;
    ensure!(issues.as_array().is_some_and(|issues| issues.len() == 2), "seeded twice? {issues}");
    Ok(())
}
