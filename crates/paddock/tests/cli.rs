//! The program as people meet it: its help, and what it says of bad input.

use std::process::{Command, Output};

fn paddock(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paddock"));
    command.args(arguments).env("HOME", "/nonexistent").env_remove("PADDOCK_URL");
    command.output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names of the verbs that a help lists.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    // A line that goes on with the one before is indented further.
    let named = listed.filter(|line| !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_verb_has_help_that_says_what_it_is_for() {
    let mut waiting = vec![vec![]];
    let mut seen = 0;
    while let Some(line) = waiting.pop() {
        let mut arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        arguments.push("--help");
        let output = paddock(&arguments);
        let help = text(&output.stdout);
        assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
        let about = help.lines().next().unwrap_or_default();
        assert!(!about.is_empty() && !about.starts_with("Usage"), "{line:?} does not say: {help}");
        assert!(help.contains("Usage: paddock"), "{line:?}: {help}");
        for verb in verbs(&help).into_iter().filter(|verb| verb != "help") {
            waiting.push([line.clone(), vec![verb]].concat());
        }
        seen += 1;
    }
    assert!(seen > 20, "only {seen} verbs were found");
}

#[test]
fn what_is_not_understood_is_said_and_ends_with_2() {
    for arguments in [&["no-such-verb"][..], &["--no-such-option"], &["run", "show"]] {
        let output = paddock(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(text(&output.stderr).contains("Usage"), "{}", text(&output.stderr));
    }
}
