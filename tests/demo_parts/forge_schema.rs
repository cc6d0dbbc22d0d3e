//! The check itself: it must find what is wrong.

use anyhow::ensure;
use paddock_tests::github_schema::Description;
use serde_json::{Value, json};

use crate::support::{OwnForge, REPO, WRITER, errors};

/// A pull request's answer, right as it is, and its schema.
async fn right() -> anyhow::Result<(Value, Value)> {
    let forge = OwnForge::start().await?;
    forge.clone_as("work")?.push("fix", "one")?;
    let answer = forge.open("fix", WRITER).await?;
    let path = format!("/repos/{REPO}/pulls");
    let schema = Description::committed().answer("POST", &path, answer.status.as_u16())?;
    ensure!(errors(&schema, &answer.body)?.is_empty());
    Ok((schema, answer.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_required_field_is_found_at_every_depth() -> anyhow::Result<()> {
    let (schema, body) = right().await?;
    let required = &schema["components"]["schemas"]["pull-request"]["required"];
    let required = required.as_array().map_or(&[][..], Vec::as_slice);
    ensure!(required.len() > 30, "{required:?}");
    for name in required.iter().filter_map(Value::as_str) {
        let mut less = body.clone();
        less.as_object_mut().map(|fields| fields.remove(name));
        ensure!(!errors(&schema, &less)?.is_empty(), "nobody misses {name}");
    }
    for (place, name) in [
        ("/head", "sha"),
        ("/base/repo", "full_name"),
        ("/user", "login"),
        ("/_links/html", "href"),
    ] {
        let mut less = body.clone();
        let at = less.pointer_mut(place).and_then(Value::as_object_mut);
        ensure!(at.and_then(|at| at.remove(name)).is_some(), "{place} has no {name}");
        ensure!(!errors(&schema, &less)?.is_empty(), "nobody misses {name} of {place}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_an_unknown_word_and_a_wrong_date_are_found() -> anyhow::Result<()> {
    let (schema, body) = right().await?;
    let wrong = [
        ("/number", json!("1")),
        ("/title", Value::Null),
        ("/state", json!("opened")),
        ("/created_at", json!("yesterday")),
        ("/html_url", json!("not an address")),
        ("/merged_at", json!(1)),
        ("/head/sha", json!(null)),
    ];
    for (place, value) in wrong {
        let mut other = body.clone();
        let at = other.pointer_mut(place);
        *at.ok_or_else(|| anyhow::anyhow!("nothing at {place}"))? = value.clone();
        ensure!(!errors(&schema, &other)?.is_empty(), "{value} at {place} passes");
    }
    // Null is for what may be null, there only.
    for place in ["/body", "/closed_at", "/assignee", "/mergeable"] {
        let mut other = body.clone();
        let at = other.pointer_mut(place);
        *at.ok_or_else(|| anyhow::anyhow!("nothing at {place}"))? = Value::Null;
        ensure!(errors(&schema, &other)?.is_empty(), "null at {place} is refused");
    }
    Ok(())
}
