use domain::run::InputKind;
use serde_json::Value;

/// The most characters of the agent's own words in a reason.
const MOST: usize = 160;

/// What an agent asks, in one line: its own JSON is looked into, hostile as it is, and only cut words of it
/// come out.
pub(super) fn asks(kind: InputKind, detail: Option<&str>) -> String {
    let detail: Value = detail.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match kind {
        InputKind::Permission => permission(&detail),
        InputKind::Question => question(&detail),
    }
}

fn permission(detail: &Value) -> String {
    let what = detail["permission"].as_str().unwrap_or_default();
    let command = detail["metadata"]["command"].as_str();
    let pattern = command.or_else(|| detail["patterns"][0].as_str()).map(line);
    let verb = match what {
        "bash" => "run",
        "edit" | "write" | "patch" => "change",
        "read" | "list" | "glob" | "grep" => "look at",
        "webfetch" => "fetch",
        "websearch" => "search the web for",
        "external_directory" => "reach outside the workspace:",
        "" => return "asks for a permission".to_owned(),
        other => {
            let pattern = pattern.map(|pattern| format!(": {pattern}")).unwrap_or_default();
            return format!("asks for the permission {}{pattern}", line(other));
        }
    };
    match pattern {
        Some(pattern) if verb.ends_with(':') => format!("asks to {verb} {pattern}"),
        Some(pattern) => format!("asks to {verb}: {pattern}"),
        None => format!("asks to {}", verb.trim_end_matches(':')),
    }
}

fn question(detail: &Value) -> String {
    match detail["questions"][0]["question"].as_str().map(line) {
        Some(words) if !words.is_empty() => format!("asks: {words}"),
        Some(_) | None => "asks a question".to_owned(),
    }
}

/// One line of printable characters, cut to size.
fn line(text: &str) -> String {
    let text = text.trim();
    let mut line: String =
        text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_said_in_one_line_of_bounded_length() {
        let asked = |detail: &str| asks(InputKind::Permission, Some(detail));
        assert_eq!(
            asked(r#"{"permission":"bash","patterns":["npm test"]}"#),
            "asks to run: npm test"
        );
        assert_eq!(
            asked(r#"{"permission":"external_directory","patterns":["/etc/*"]}"#),
            "asks to reach outside the workspace: /etc/*"
        );
        assert_eq!(asked(r#"{"permission":"doom_loop"}"#), "asks for the permission doom_loop");
        assert_eq!(asked("no JSON"), "asks for a permission");
        assert_eq!(asks(InputKind::Permission, None), "asks for a permission");
        let hostile =
            format!(r#"{{"permission":"bash","patterns":["a\n\u001b[2J{}"]}}"#, "x".repeat(9_000));
        let said = asked(&hostile);
        assert!(said.chars().count() < 200 && !said.contains(char::is_control), "{said}");
        let question = r#"{"questions":[{"question":"Which colour?"}]}"#;
        assert_eq!(asks(InputKind::Question, Some(question)), "asks: Which colour?");
        assert_eq!(asks(InputKind::Question, Some("{}")), "asks a question");
    }
}
