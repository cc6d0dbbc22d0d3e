//! What a pull request says.

/// The longest title that GitHub takes.
const MAX_TITLE: usize = 256;
/// How much of the prompt is quoted.
const MAX_PROMPT: usize = 1_000;

/// What is known of the work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About<'a> {
    /// The issue's number, if it answers one.
    pub(super) issue: Option<u64>,
    /// The issue's title.
    pub(super) issue_title: Option<&'a str>,
    /// The subject of the branch's first commit.
    pub(super) subject: Option<&'a str>,
    /// The run's first prompt; none if it was erased.
    pub(super) prompt: Option<&'a str>,
    /// The repository's template for pull requests.
    pub(super) template: Option<&'a str>,
    /// The run's page.
    pub(super) run_url: &'a str,
}

/// The title: the issue's, or that of the work itself.
pub(super) fn title(about: About<'_>) -> String {
    let lines =
        [about.issue_title, about.subject, about.prompt.and_then(|text| text.lines().next())];
    let line = lines.into_iter().flatten().map(str::trim).find(|line| !line.is_empty());
    let mut title: String = line
        .unwrap_or("Changes made in a Paddock run")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if title.len() > MAX_TITLE {
        title.truncate(title.floor_char_boundary(MAX_TITLE - '…'.len_utf8()));
        title.push('…');
    }
    title
}

/// The text: the repository's own template first, where there is one.
pub(super) fn body(about: About<'_>) -> String {
    let mut parts = vec![];
    if let Some(template) = about.template {
        parts.push(template.trim().to_owned());
        parts.push("---".to_owned());
    }
    if let Some(prompt) = about.prompt.map(str::trim).filter(|prompt| !prompt.is_empty()) {
        parts.push(format!("What was asked:\n\n{}", quoted(prompt)));
    }
    if let Some(issue) = about.issue {
        parts.push(format!("Closes #{issue}"));
    }
    parts.push(format!("Made by an agent in [a Paddock run]({}).", about.run_url));
    parts.join("\n\n")
}

/// In a fence longer than any inside: what is quoted mentions nobody and closes nothing.
fn quoted(text: &str) -> String {
    let mut shown = text[..text.floor_char_boundary(MAX_PROMPT)].to_owned();
    if shown.len() < text.len() {
        shown.push_str(" …");
    }
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{shown}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://paddock/runs/1";

    #[test]
    fn the_title_is_the_issues_else_the_commits_else_the_prompts_first_line() {
        let all = About {
            issue_title: Some("Crash on start"),
            subject: Some("Fix crash"),
            prompt: Some("please fix\nit"),
            run_url: URL,
            ..About::default()
        };
        assert_eq!(title(all), "Crash on start");
        assert_eq!(title(About { issue_title: None, ..all }), "Fix crash");
        let bare = About { issue_title: None, subject: Some(" \n"), ..all };
        assert_eq!(title(bare), "please fix");
        assert_eq!(title(About { prompt: None, ..bare }), "Changes made in a Paddock run");
        let long = "ä".repeat(300);
        assert!(title(About { issue_title: Some(&long), ..all }).len() <= MAX_TITLE);
    }

    #[test]
    fn the_body_honours_the_template_and_quotes_the_prompt_harmlessly() {
        let about = About {
            issue: Some(7),
            prompt: Some("cc @team, closes #9\n```\ncode\n```"),
            template: Some("## What\n\n- [ ] tested\n"),
            run_url: URL,
            ..About::default()
        };
        assert_eq!(
            body(about),
            "## What\n\n- [ ] tested\n\n---\n\nWhat was asked:\n\n````text\ncc @team, closes #9\n\
             ```\ncode\n```\n````\n\nCloses #7\n\nMade by an agent in [a Paddock run](https://paddock/runs/1)."
        );
        let bare = About { run_url: URL, ..About::default() };
        assert_eq!(body(bare), "Made by an agent in [a Paddock run](https://paddock/runs/1).");
        let long = "x".repeat(5_000);
        assert!(body(About { prompt: Some(&long), ..bare }).len() < 1_300);
    }
}
