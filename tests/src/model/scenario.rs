//! Scenarios: TOML files, one a scenario. What a step may say of the conversation is in `fill.rs`.
//!
//! ```toml
//! about = "What it is for."
//! matches = "a text of the prompt that chooses it"   # optional
//!
//! [[step]]                       # the answer to the prompt
//! tool = "bash"                  # a tool call …
//! arguments = { command = "ls", description = "Lists files" }
//!
//! [[step]]                       # the answer to the tool's result
//! text = "Done."                 # … or a text, which ends the turn
//!
//! [[again]]                      # in place of `step` once an earlier prompt has named the scenario
//! text = "Again?"
//! ```

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fill::unknown_in;

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
    /// The answers in a turn after the first one of this scenario; `step` where there are none.
    #[serde(default)]
    pub again: Vec<Step>,
}

/// One answer. Its parts come in the order in which they stand here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// An HTTP error in place of an answer.
    pub status: Option<u16>,
    /// The error's words.
    pub message: Option<String>,
    /// How often the step goes wrong, by `status`, `raw` or `cut`, before it is played without; for ever
    /// where this is not said.
    pub times: Option<u32>,
    /// These bytes in place of an answer.
    pub raw: Option<String>,
    /// How long each piece of the answer waits.
    pub delay_ms: u64,
    /// What it thinks first.
    pub reasoning: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// How often `text` is said.
    pub repeat: Option<u32>,
    /// In place of `text`: `line 1` to `line N`, each on a line of its own.
    pub numbered_lines: Option<u32>,
    /// It never goes on from here.
    pub hang: bool,
    /// The connection breaks here.
    pub cut: bool,
    /// The tool it calls.
    pub tool: Option<String>,
    /// The tool's arguments.
    pub arguments: Option<Value>,
}

/// The built-in scenarios, by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("ask-permission", include_str!("../../scenarios/ask-permission.toml")),
    ("ask-question", include_str!("../../scenarios/ask-question.toml")),
    ("cut-off", include_str!("../../scenarios/cut-off.toml")),
    ("disk-full", include_str!("../../scenarios/disk-full.toml")),
    ("big-bundle", include_str!("../../scenarios/big-bundle.toml")),
    ("disk-over", include_str!("../../scenarios/disk-over.toml")),
    ("empty-diff", include_str!("../../scenarios/empty-diff.toml")),
    ("fail-400", include_str!("../../scenarios/fail-400.toml")),
    ("fail-500", include_str!("../../scenarios/fail-500.toml")),
    ("fail-twice", include_str!("../../scenarios/fail-twice.toml")),
    ("fix-greeter", include_str!("../../scenarios/fix-greeter.toml")),
    ("fix-greeter-uncommitted", include_str!("../../scenarios/fix-greeter-uncommitted.toml")),
    ("fork-bomb", include_str!("../../scenarios/fork-bomb.toml")),
    ("garbage", include_str!("../../scenarios/garbage.toml")),
    ("greet-everybody", include_str!("../../scenarios/greet-everybody.toml")),
    ("hostile-config", include_str!("../../scenarios/hostile-config.toml")),
    ("hostile-output", include_str!("../../scenarios/hostile-output.toml")),
    ("hostile-report", include_str!("../../scenarios/hostile-report.toml")),
    ("leftovers", include_str!("../../scenarios/leftovers.toml")),
    ("memory-bomb", include_str!("../../scenarios/memory-bomb.toml")),
    ("memory-bomb-whole", include_str!("../../scenarios/memory-bomb-whole.toml")),
    ("never-finish", include_str!("../../scenarios/never-finish.toml")),
    ("numbered-lines", include_str!("../../scenarios/numbered-lines.toml")),
    ("read-secrets", include_str!("../../scenarios/read-secrets.toml")),
    ("sleep", include_str!("../../scenarios/sleep.toml")),
    ("slow", include_str!("../../scenarios/slow.toml")),
    ("two-turns", include_str!("../../scenarios/two-turns.toml")),
    ("workspace-look", include_str!("../../scenarios/workspace-look.toml")),
    ("workspace-state", include_str!("../../scenarios/workspace-state.toml")),
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
        let Some(dir) = dir else { return Ok(Self(scenarios)) };
        let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let text =
                    std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                let scenario = parse(&name, &text)?;
                scenarios.insert(name, scenario);
            }
        }
        Ok(Self(scenarios))
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The scenario of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&str, &Scenario)> {
        self.0.get_key_value(name).map(|(name, scenario)| (name.as_str(), scenario))
    }

    /// The scenario that a prompt names as `[scenario: NAME]`, if it names one.
    #[must_use]
    pub fn named(&self, prompt: &str) -> Option<(&str, &Scenario)> {
        let name = prompt.split_once("[scenario:")?.1.split_once(']')?.0;
        self.get(name.trim())
    }

    /// The scenario whose text a prompt holds, or the default one.
    #[must_use]
    pub fn fitting(&self, prompt: &str) -> Option<(&str, &Scenario)> {
        let fits = |scenario: &Scenario| {
            scenario.matches.as_ref().is_some_and(|text| prompt.contains(text.as_str()))
        };
        let found = self.0.iter().find(|(_, scenario)| fits(scenario));
        found.map(|(name, scenario)| (name.as_str(), scenario)).or_else(|| self.get(DEFAULT))
    }
}

fn parse(name: &str, text: &str) -> anyhow::Result<Scenario> {
    let scenario: Scenario = toml::from_str(text).with_context(|| format!("scenario {name}"))?;
    ensure!(!scenario.step.is_empty(), "scenario {name} has no step");
    for step in scenario.step.iter().chain(&scenario.again) {
        let unknown = unknown_in(&toml::to_string(step)?);
        ensure!(unknown.is_empty(), "scenario {name} has unknown placeholders: {unknown:?}");
    }
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_built_in_parses_and_is_found_by_its_name() {
        let scenarios = Scenarios::load(None).unwrap();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, scenarios.names().collect::<Vec<_>>());
        for name in &files {
            let found = scenarios.named(&format!("Please. [scenario: {name}] Go."));
            assert_eq!(found.map(|(found, _)| found), Some(name.as_str()));
        }
        assert!(scenarios.named("[scenario: no such]").is_none());
        assert!(scenarios.named("[scenario: slow").is_none());
    }

    #[test]
    fn a_directory_adds_and_replaces_and_a_mistake_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let step = "about = 'x'\n[[step]]\ntext = 'mine'\n";
        std::fs::write(dir.path().join("slow.toml"), step).unwrap();
        std::fs::write(dir.path().join("own.toml"), step).unwrap();
        let scenarios = Scenarios::load(Some(dir.path())).unwrap();
        for name in ["slow", "own"] {
            assert_eq!(scenarios.get(name).unwrap().1.step[0].text.as_deref(), Some("mine"));
        }
        for wrong in ["about = 'x'\nstep = []", "about = 'x'\n[[step]]\ntext = '{{no}}'"] {
            std::fs::write(dir.path().join("own.toml"), wrong).unwrap();
            let error = Scenarios::load(Some(dir.path())).unwrap_err().to_string();
            assert!(error.contains("scenario own"), "{error}");
        }
    }
}
