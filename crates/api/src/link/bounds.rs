//! What a sidecar passes on is the agent's, and hostile. It is cut to size and shape here, before it
//! gets anywhere near an event.

use domain::run::{Probe, Verdict};

/// The most bytes of words in a report.
const MAX_WORDS: usize = 64 * 1024;
/// The most bytes of one line.
const MAX_LINE: usize = 400;
/// The most probes in one report.
const MAX_PROBES: usize = 64;

/// Words, cut to size.
pub(super) fn words(mut text: String) -> String {
    cut(&mut text, MAX_WORDS);
    text
}

/// One line of printable characters.
pub(super) fn line(text: &str) -> String {
    let mut line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LINE).collect();
    cut(&mut line, MAX_LINE);
    line.trim().to_owned()
}

/// JSON as text; in place of what is too long, its length.
pub(super) fn json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.len() <= MAX_WORDS {
        return text;
    }
    serde_json::json!({ "too_long": text.len() }).to_string()
}

/// At most so many probes, each with a target of one line.
pub(super) fn probes(probes: Vec<Probe>) -> Vec<Probe> {
    probes
        .into_iter()
        .take(MAX_PROBES)
        .map(|probe| Probe { target: line(&probe.target), verdict: probe.verdict })
        .collect()
}

/// What is wrong with a fence, in words, where something is.
pub(super) fn not_fenced(probes: &[Probe]) -> Option<String> {
    let reached = probes.iter().filter(|probe| probe.verdict == Verdict::Reached);
    let reached: Vec<&str> = reached.map(|probe| probe.target.as_str()).collect();
    if !reached.is_empty() {
        return Some(format!("the fence is open: {} could be reached", reached.join(", ")));
    }
    let proven = probes.first().is_some_and(|canary| canary.verdict.is_shut());
    let words =
        "the fence is not proven: nobody reached the canary, so that not reaching it says nothing";
    (!proven).then(|| words.to_owned())
}

/// Whether it is a commit's full name.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether it can be an id that the agent made.
pub(super) fn is_agent_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Whether it can be a version's name.
pub(super) fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(line("a\nb\u{1b}[2J\0c "), "a b [2J c");
        assert!(line(&"ä".repeat(10_000)).len() <= MAX_LINE);
        assert!(words("ä".repeat(MAX_WORDS)).len() <= MAX_WORDS);
    }

    #[test]
    fn what_is_wrong_with_a_fence_is_said() {
        let probe = |target: &str, verdict| Probe { target: target.to_owned(), verdict };
        let canary = |verdict| probe("the control plane", verdict);
        let dns = probe("DNS", Verdict::Reached);
        assert_eq!(not_fenced(&[canary(Verdict::TimedOut)]), None);
        let open = not_fenced(&[canary(Verdict::TimedOut), dns]).unwrap();
        assert_eq!(open, "the fence is open: DNS could be reached");
        let other = probe("DNS", Verdict::TimedOut);
        assert!(not_fenced(&[canary(Verdict::NotProvable), other]).unwrap().contains("not proven"));
        assert!(not_fenced(&[]).is_some());
    }

    #[test]
    fn only_full_commit_names_are_commits() {
        assert!(is_commit(&"0a".repeat(20)));
        for bad in ["", "0a", &"0A".repeat(20), &"0g".repeat(20), "--upload-pack=x"] {
            assert!(!is_commit(bad), "{bad}");
        }
    }
}
