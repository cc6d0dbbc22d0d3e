//! What the agent is started with.

use link::Job;
use serde_json::{Value, json};

/// Where the harness offers the gateway inside.
const GATEWAY: &str = "http://127.0.0.1:3128";
/// Where every repository is inside.
const REPOSITORY: &str = "/workspace/repo";

/// OpenCode's configuration: the one model, by the gateway's route. The key in it is worth nothing.
pub(crate) fn agent_config(job: &Job) -> Value {
    let (provider, model) = job.model.split_once('/').unwrap_or(("paddock", &job.model));
    json!({
        "model": format!("{provider}/{model}"),
        "small_model": format!("{provider}/{model}"),
        "enabled_providers": [provider],
        "provider": { provider: {
            "npm": "@ai-sdk/openai-compatible",
            "options": { "baseURL": format!("{GATEWAY}/model/v1"), "apiKey": "paddock" },
            "models": { model: { "tool_call": true, "limit": { "context": 128_000, "output": 16_384 } } },
        } },
        "permission": job.permission,
        "instructions": [format!("{REPOSITORY}/AGENTS.md")],
        "share": "disabled",
        "autoupdate": false,
    })
}

/// The message of the commit that holds what the agent left uncommitted.
pub(crate) fn commit_message(job: &Job) -> String {
    format!("Work of the agent, left uncommitted\n\nPaddock-Run: {}\n", job.run_url)
}
