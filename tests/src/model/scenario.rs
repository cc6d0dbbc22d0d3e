//! Scenarios: TOML files, one a scenario.
//!
//! ```toml
//! [[step]]                       # the answer to the prompt
//! tool = "bash"                  # a tool call …
//! arguments = { command = "ls", description = "Lists files" }
//!
//! [[step]]                       # the answer to the tool's result
//! text = "Done."                 # … or a text, which ends the turn
//! ```

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is for.
    pub about: String,
    /// A text of the prompt that chooses it where no scenario is named.
    pub matches: Option<String>,
    /// The answers, in order; the last one is given again.
    pub step: Vec<Step>,
}

/// One answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// What it thinks first.
    pub reasoning: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// In place of `text`: `line 1` to `line N`, each on a line of its own.
    pub numbered_lines: Option<u32>,
    /// How often `text` is said.
    pub repeat: Option<u32>,
    /// How long each piece of the answer waits.
    pub delay_ms: u64,
    /// The tool it calls.
    pub tool: Option<String>,
    /// The tool's arguments.
    pub arguments: Option<Value>,
    /// An HTTP error in place of an answer.
    pub status: Option<u16>,
    /// The error's words.
    pub message: Option<String>,
    /// It never answers.
    pub hang: bool,
}

/// The built-in scenarios, by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("fix-greeter", include_str!("../../scenarios/fix-greeter.toml")),
    ("leftovers", include_str!("../../scenarios/leftovers.toml")),
    ("empty-diff", include_str!("../../scenarios/empty-diff.toml")),
    ("ask-permission", include_str!("../../scenarios/ask-permission.toml")),
    ("ask-question", include_str!("../../scenarios/ask-question.toml")),
    ("fail-500", include_str!("../../scenarios/fail-500.toml")),
    ("fail-400", include_str!("../../scenarios/fail-400.toml")),
    ("never-finish", include_str!("../../scenarios/never-finish.toml")),
    ("hostile-output", include_str!("../../scenarios/hostile-output.toml")),
    ("numbered-lines", include_str!("../../scenarios/numbered-lines.toml")),
    ("slow", include_str!("../../scenarios/slow.toml")),
    ("sleep", include_str!("../../scenarios/sleep.toml")),
    ("two-turns", include_str!("../../scenarios/two-turns.toml")),
    ("workspace-state", include_str!("../../scenarios/workspace-state.toml")),
    ("workspace-look", include_str!("../../scenarios/workspace-look.toml")),
    ("hostile-config", include_str!("../../scenarios/hostile-config.toml")),
    ("hostile-report", include_str!("../../scenarios/hostile-report.toml")),
    ("read-secrets", include_str!("../../scenarios/read-secrets.toml")),
    ("fork-bomb", include_str!("../../scenarios/fork-bomb.toml")),
    ("memory-bomb", include_str!("../../scenarios/memory-bomb.toml")),
    ("disk-full", include_str!("../../scenarios/disk-full.toml")),
    ("big-bundle", include_str!("../../scenarios/big-bundle.toml")),
];

/// The scenario for a prompt that names none and matches none.
const DEFAULT: &str = "leftovers";

/// All scenarios, by name.
#[derive(Clone, Debug)]
pub struct Scenarios(BTreeMap<String, Scenario>);

impl Scenarios {
    /// The built-in ones, and those in `dir`.
    pub fn load(dir: Option<&Path>) -> anyhow::Result<Self> {
        let mut scenarios = BTreeMap::new();
        for (name, text) in BUILT_IN {
            scenarios.insert((*name).to_owned(), parse(name, text)?);
        }
        if let Some(dir) = dir {
            for entry in std::fs::read_dir(dir)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "toml") {
                    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    let scenario = parse(&name, &std::fs::read_to_string(&path)?)?;
                    scenarios.insert(name, scenario);
                }
            }
        }
        Ok(Self(scenarios))
    }

    /// The scenario that a prompt names as `[scenario: NAME]`, if it names one.
    #[must_use]
    pub fn named(&self, prompt: &str) -> Option<(&str, &Scenario)> {
        let name = prompt.split_once("[scenario: ")?.1.split(']').next()?;
        self.0.get_key_value(name).map(|(name, scenario)| (name.as_str(), scenario))
    }

    /// The scenario whose text a prompt holds, or the default one.
    #[must_use]
    pub fn fitting(&self, prompt: &str) -> Option<(&str, &Scenario)> {
        let fits = |scenario: &Scenario| {
            scenario.matches.as_ref().is_some_and(|text| prompt.contains(text.as_str()))
        };
        let found = self.0.iter().find(|(_, scenario)| fits(scenario));
        let found = found.or_else(|| self.0.get_key_value(DEFAULT));
        found.map(|(name, scenario)| (name.as_str(), scenario))
    }
}

fn parse(name: &str, text: &str) -> anyhow::Result<Scenario> {
    let scenario: Scenario =
        toml::from_str(text).map_err(|error| anyhow::anyhow!("scenario {name}: {error}"))?;
    anyhow::ensure!(!scenario.step.is_empty(), "scenario {name} has no step");
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_parses_and_is_found_by_its_name() {
        let scenarios = Scenarios::load(None).unwrap();
        for (name, _) in BUILT_IN {
            let found = scenarios.named(&format!("[scenario: {name}] go"));
            assert_eq!(found.map(|(found, _)| found), Some(*name));
        }
        assert!(scenarios.named("[scenario: no such]").is_none());
        let fitting = scenarios.fitting("greet.sh greets nobody by name");
        assert_eq!(fitting.map(|(name, _)| name), Some("fix-greeter"));
    }
}
