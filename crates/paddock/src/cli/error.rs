//! Exit codes: 0 success, 1 the run failed, 2 usage, 3 not allowed, 4 not found, 5 no server.

use std::process::ExitCode;

use serde_json::{Value, json};

/// The run failed or was cancelled, or the server could not do what was asked.
pub(crate) const FAILED: u8 = 1;
/// The call or its input was wrong.
pub(crate) const USAGE: u8 = 2;
/// The server does not allow it.
pub(crate) const NOT_ALLOWED: u8 = 3;
/// There is no such thing.
pub(crate) const NOT_FOUND: u8 = 4;
/// No server answers.
pub(crate) const UNREACHABLE: u8 = 5;

/// An error with an exit code of its own.
#[derive(Debug)]
pub(crate) struct CliError {
    /// The exit code.
    pub(crate) code: u8,
    /// What to print.
    pub(crate) message: String,
    /// The server's problem document, if it sent one.
    pub(crate) problem: Option<Value>,
}

impl CliError {
    /// An error that the caller can mend.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into(), problem: None }
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { code: NOT_FOUND, message: message.into(), problem: None }
    }

    /// No server could be found or reached.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { code: UNREACHABLE, message: message.into(), problem: None }
    }

    /// What a server answered with an error status.
    pub(crate) fn answered(status: u16, problem: Value) -> Self {
        let code = match status {
            401 | 403 => NOT_ALLOWED,
            404 => NOT_FOUND,
            502..=504 => UNREACHABLE,
            400..=499 => USAGE,
            _ => FAILED,
        };
        let title = problem["title"].as_str().unwrap_or("the server answered with an error");
        let mut message = format!("{title} ({status})");
        if let Some(detail) = problem["detail"].as_str().filter(|detail| *detail != title) {
            message = format!("{message}: {detail}");
        }
        for field in problem["errors"].as_array().into_iter().flatten() {
            let name = field["field"].as_str().unwrap_or("?");
            let detail = field["detail"].as_str().unwrap_or("is wrong");
            message = format!("{message}\n  {name}: {detail}");
        }
        Self { code, message, problem: Some(problem) }
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

/// Prints an error as its reader wants it, and says what to exit with.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let known = error.downcast_ref::<CliError>();
    if json {
        let value = known.and_then(|known| known.problem.clone()).unwrap_or_else(
            || json!({ "type": "about:blank", "title": "failed", "detail": format!("{error:#}") }),
        );
        println!("{value}");
    } else {
        eprintln!("paddock: {error:#}");
    }
    ExitCode::from(known.map_or(FAILED, |known| known.code))
}
