//! Harness profiles: what a run gets.

mod image;
mod variables;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rejection::{Fault, within};

pub use variables::MAX_VARIABLES;

/// The profile of a run that names none.
pub const DEFAULT_PROFILE: &str = "default";

const MAX_NAME: usize = 40;
const MAX_DESCRIPTION: usize = 200;
/// The egress modes.
const EGRESS: [&str; 2] = ["github", "full"];

/// What a run gets. A run keeps what it was requested with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Profile {
    /// What it is for, in one line.
    pub description: String,
    /// The image of the agent's container, where it is not the installation's own.
    pub image: Option<String>,
    /// The cluster's RuntimeClass, where it is not the installation's own.
    pub runtime_class: Option<String>,
    /// The most memory, in MiB; 256 to 4,194,304.
    pub memory_mib: u32,
    /// The most processor time, in thousandths of a core; 100 to 256,000.
    pub cpu_millis: u32,
    /// The most disk, in MiB; 256 to 1,048,576.
    pub disk_mib: u32,
    /// How many seconds a run may take; 60 to 86,400.
    pub deadline_seconds: u32,
    /// How many seconds a run stays idle after an unattended turn; 0 to 86,400.
    pub linger_seconds: u32,
    /// How many seconds a run stays idle after a person's further prompt; 0 to 86,400.
    pub attended_linger_seconds: u32,
    /// How many seconds a permission or question waits; 1 to 86,400.
    pub input_timeout_seconds: u32,
    /// How many seconds a sidecar may be without its link; 1 to 86,400.
    pub link_timeout_seconds: u32,
    /// How often a lost workload is started again; 0 to 10.
    pub max_retries: u32,
    /// Whether a run may start although its fence or a limit cannot be enforced.
    pub unenforced: bool,
    /// The egress mode of a run that asks for none.
    pub egress: String,
    /// Plain variables of the agent's environment. Never secrets: they are shown, and kept for ever.
    pub env: BTreeMap<String, String>,
    /// What the agent may do without asking: OpenCode's own permission configuration. All of it unless
    /// told otherwise: the sandbox is the fence, not the agent's manners.
    pub permission: Value,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            description: "Everything by default".to_owned(),
            image: None,
            runtime_class: None,
            memory_mib: 2048,
            cpu_millis: 2000,
            disk_mib: 8192,
            deadline_seconds: 2 * 60 * 60,
            linger_seconds: 0,
            attended_linger_seconds: 10 * 60,
            input_timeout_seconds: 60 * 60,
            link_timeout_seconds: 30 * 60,
            max_retries: 2,
            unenforced: false,
            egress: "github".to_owned(),
            env: BTreeMap::new(),
            permission: json!({ "*": "allow" }),
        }
    }
}

impl Profile {
    /// What is wrong with it, each with its field.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        const DAY: u32 = 86_400;
        let numbers = [
            within("memory_mib", self.memory_mib, 256..=4_194_304),
            within("cpu_millis", self.cpu_millis, 100..=256_000),
            within("disk_mib", self.disk_mib, 256..=1_048_576),
            within("deadline_seconds", self.deadline_seconds, 60..=DAY),
            within("linger_seconds", self.linger_seconds, 0..=DAY),
            within("attended_linger_seconds", self.attended_linger_seconds, 0..=DAY),
            within("input_timeout_seconds", self.input_timeout_seconds, 1..=DAY),
            within("link_timeout_seconds", self.link_timeout_seconds, 1..=DAY),
            within("max_retries", self.max_retries, 0..=10),
        ];
        let words = [
            description(&self.description),
            self.image.as_deref().and_then(image::fault),
            self.runtime_class.as_deref().and_then(runtime_class),
            (!EGRESS.contains(&&self.egress[..]))
                .then(|| Fault::new("egress", "is github or full")),
            (!self.permission.is_object() && !self.permission.is_string()).then(|| {
                Fault::new(
                    "permission",
                    "is OpenCode's permission: an object, such as {\"*\": \"allow\"}",
                )
            }),
        ];
        let mut faults: Vec<Fault> = numbers.into_iter().chain(words).flatten().collect();
        faults.extend(variables::faults(&self.env));
        faults
    }
}

/// What is wrong with a profile's name, if something is.
#[must_use]
pub fn checked_name(name: &str) -> Option<Fault> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(inner)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    (!fits).then(|| {
        let words = format!(
            "begins with a letter or digit and has at most {MAX_NAME} letters, digits, '-', '_' and '.'"
        );
        Fault::new("name", words)
    })
}

fn description(text: &str) -> Option<Fault> {
    if text.chars().count() > MAX_DESCRIPTION {
        let words = format!("may have at most {MAX_DESCRIPTION} characters");
        return Some(Fault::new("description", words));
    }
    let words = "must be one line, without control characters";
    text.chars().any(char::is_control).then(|| Fault::new("description", words))
}

/// A RuntimeClass is named as any object of a cluster.
fn runtime_class(name: &str) -> Option<Fault> {
    let is_part = |part: &str| {
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = part.as_bytes();
        ends(bytes.first())
            && ends(bytes.last())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let fits = name.len() <= 253 && name.split('.').all(is_part);
    (!fits)
        .then(|| Fault::new("runtime_class", "is not the name of a RuntimeClass, such as gvisor"))
}
