//! Pages for people. What others wrote is text in them, never markup.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{
    Forge,
    bare::Bare,
    state::{Pull, Repository},
};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
    padding:0 1rem;color-scheme:light dark}pre{overflow:auto;padding:1rem;border:1px solid #8886;\
    border-radius:6px;white-space:pre-wrap}.add{color:#1a7f37}.del{color:#cf222e}.at{color:#6639ba}\
    .state{border-radius:1rem;padding:.1rem .7rem;border:1px solid}";

type Shared = State<Arc<Forge>>;

/// A repository: its branches and pull requests.
pub(super) async fn repository(
    State(forge): Shared,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    let Some((repo, bare)) = forge.find(&owner, &name) else { return missing() };
    let Ok(pulls) = forge.pulls_of(&repo, &bare).await else { return broken() };
    let name = repo.full_name();
    let line = |kind: &str, number: u64, title: &str| {
        format!("<li><a href=\"/{name}/{kind}/{number}\">#{number} {}</a>", text(title))
    };
    let pulls: String = pulls.iter().map(|pull| line("pull", pull.number, &pull.title)).collect();
    let issues = forge.kept().issues;
    let issues = issues.iter().filter(|issue| issue.repo == name);
    let issues: String = issues.map(|issue| line("issues", issue.number, &issue.title)).collect();
    let branches = bare.branches().await.unwrap_or_default();
    let branches: Vec<String> = branches.iter().map(|(name, _)| text(name)).collect();
    page(
        &name,
        &format!(
            "<h2>Pull requests</h2><ul>{pulls}</ul><h2>Issues</h2><ul>{issues}</ul>\
             <h2>Branches</h2><p>{}",
            branches.join("<br>"),
        ),
    )
}

/// An issue.
pub(super) async fn issue(
    State(forge): Shared,
    Path((owner, name, number)): Path<(String, String, String)>,
) -> Response {
    let Some((repo, _)) = forge.find(&owner, &name) else { return missing() };
    let kept = forge.kept();
    let found = kept
        .issues
        .iter()
        .find(|issue| issue.repo == repo.full_name() && issue.number.to_string() == number);
    let Some(issue) = found else { return missing() };
    page(
        &format!("{} #{}", issue.title, issue.number),
        &format!("<p>{}</p><pre>{}</pre>", home(&repo), text(&issue.body)),
    )
}

/// A pull request, or with `.diff` behind its number what it changes.
pub(super) async fn pull(
    State(forge): Shared,
    Path((owner, name, number)): Path<(String, String, String)>,
) -> Response {
    let Some((repo, bare)) = forge.find(&owner, &name) else { return missing() };
    let (number, as_diff) =
        number.strip_suffix(".diff").map_or((number.as_str(), false), |number| (number, true));
    let Ok(number) = number.parse() else { return missing() };
    let pull = match forge.pull(&repo, &bare, number).await {
        Ok(Some(pull)) => pull,
        Ok(None) => return missing(),
        Err(_) => return broken(),
    };
    let diff = diff(&bare, &pull).await;
    if as_diff {
        let plain = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        return (plain, diff).into_response();
    }
    page(
        &format!("{} #{}", pull.title, pull.number),
        &format!(
            "<p><span class=state>{}</span> {} to be merged into {} of {}</p><pre>{}</pre>\
             <h2>Changes</h2><pre>{}</pre>",
            state(&pull),
            text(&pull.head),
            text(&pull.base),
            home(&repo),
            text(pull.body.as_deref().unwrap_or_default()),
            coloured(&diff),
        ),
    )
}

async fn diff(bare: &Bare, pull: &Pull) -> String {
    let base = bare.branch(&pull.base).await.unwrap_or_default();
    bare.diff(&base, &pull.head_sha).await.unwrap_or_default()
}

fn state(pull: &Pull) -> &'static str {
    match (&pull.merged_at, pull.is_open(), pull.draft) {
        (Some(_), ..) => "merged",
        (None, false, _) => "closed",
        (None, true, true) => "draft",
        (None, true, false) => "open",
    }
}

fn home(repo: &Repository) -> String {
    format!("<a href=\"/{0}\">{0}</a>", repo.full_name())
}

fn coloured(diff: &str) -> String {
    let lines = diff.lines().map(|line| {
        let class = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => None,
            [b'+', ..] => Some("add"),
            [b'-', ..] => Some("del"),
            [b'@', ..] => Some("at"),
            _ => None,
        };
        let line = text(line);
        class.map_or_else(
            || format!("{line}\n"),
            |class| format!("<span class={class}>{line}</span>\n"),
        )
    });
    lines.collect()
}

/// A text as it can stand in a page, within an attribute too.
fn text(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut whole, letter| {
        match letter {
            '&' => whole.push_str("&amp;"),
            '<' => whole.push_str("&lt;"),
            '>' => whole.push_str("&gt;"),
            '"' => whole.push_str("&quot;"),
            '\'' => whole.push_str("&#39;"),
            _ => whole.push(letter),
        }
        whole
    })
}

fn page(title: &str, body: &str) -> Response {
    let title = text(title);
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style><h1>{title}</h1>{body}"
    );
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
}

fn missing() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

fn broken() -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_diff_stays_text() {
        let html = coloured("+<script>alert('x')</script>\n-a & b\n@@ -1 +1 @@\n+++ b/x");
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("<span class=add>+&lt;script&gt;alert(&#39;x&#39;)"), "{html}");
        assert!(html.contains("<span class=del>-a &amp; b</span>"), "{html}");
        assert!(html.ends_with("\n+++ b/x\n"), "{html}");
    }
}
