//! What an agent does, in one line of its own words.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::RunId;
use link::Item;
use serde_json::Value;

use super::Outputs;

/// The most characters of it.
const MOST: usize = 200;

/// The newest thing in a batch that says something: a tool's call, or the beginning of a message.
pub(crate) fn doing(items: &[Item]) -> Option<String> {
    items.iter().rev().find_map(|item| match item {
        Item::Part { part, .. } if part["type"] == "tool" => tool(part),
        Item::Text { field, offset: 0, text, .. } if field == "/text" => line(text),
        Item::Part { .. }
        | Item::Text { .. }
        | Item::Message { .. }
        | Item::Removed { .. }
        | Item::Gap { .. } => None,
    })
}

fn tool(part: &Value) -> Option<String> {
    let state = &part["state"];
    let said = [
        &state["title"],
        &state["input"]["command"],
        &state["input"]["filePath"],
        &state["input"]["pattern"],
        &state["input"]["description"],
    ];
    let said = said.into_iter().find_map(|said| line(said.as_str()?));
    let name = line(part["tool"].as_str()?)?;
    line(&said.map_or(name.clone(), |said| format!("{name}: {said}")))
}

/// The first line that says something, of printable characters, cut to size; nothing of it is kept whole.
fn line(text: &str) -> Option<String> {
    let beginning = &text[..text.floor_char_boundary(MOST * 8)];
    let first = beginning.lines().map(str::trim).find(|line| !line.is_empty())?;
    let mut line: String =
        first.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if first.chars().nth(MOST).is_some() {
        line.pop();
        line.push('…');
    }
    Some(line)
}

impl Outputs {
    /// What the agents of these runs did last, and when.
    pub(crate) async fn doing(
        &self,
        runs: &[RunId],
    ) -> Result<HashMap<RunId, (String, DateTime<Utc>)>, sqlx::Error> {
        let ids: Vec<uuid::Uuid> = runs.iter().map(|run| run.0).collect();
        let rows = sqlx::query!(
            r#"select run, doing as "doing!", doing_at as "at!" from runtime.run_link
               where run = any($1) and doing is not null and doing_at is not null"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (RunId(row.run), (row.doing, row.at))).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(part: Value) -> Item {
        Item::Part { message: "m".into(), id: "p".into(), part }
    }

    fn text(offset: u64, text: &str) -> Item {
        Item::Text { part: "p".into(), field: "/text".into(), offset, text: text.into() }
    }

    #[test]
    fn the_newest_call_or_message_counts() {
        let call = part(json!({
            "type": "tool", "tool": "bash", "state": { "input": { "command": "npm test\nrm x" } },
        }));
        let said = |items: &[Item]| doing(items);
        assert_eq!(said(std::slice::from_ref(&call)).as_deref(), Some("bash: npm test"));
        let begun = [call.clone(), text(0, "\n\n  I see:\nmore"), text(20, "later")];
        assert_eq!(said(&begun).as_deref(), Some("I see:"));
        assert_eq!(said(&[part(json!({ "type": "step-start" }))]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn what_is_hostile_is_one_short_line() {
        let said =
            doing(&[text(0, &format!("\u{1b}]0;x\u{7}{}", "é".repeat(9_000)))]).expect("words");
        assert_eq!(said.chars().count(), MOST);
        assert!(!said.contains(char::is_control));
    }
}
