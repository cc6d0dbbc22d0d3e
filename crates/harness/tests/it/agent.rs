use std::{fs, time::Duration};

use eventsource_stream::Eventsource as _;
use futures::{SinkExt as _, StreamExt as _};
use harness::wire::{Agent, Status, StepErrorKind};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::support::{Sandbox, children, environment, git_in, is_alive, pids, program, wait_for};

#[tokio::test]
async fn a_turn_runs_behind_the_proxy_and_its_events_come_as_they_happen() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    assert_eq!(harness.status().await, Agent::NotStarted);
    let started = harness.start().await.unwrap();
    assert_eq!(started.agent, Agent::Running { version: "1.18.33".into() });
    // Again, by a sidecar that was restarted: nothing happens.
    let agent = children(children(harness.child.id())[0]);
    assert_eq!(harness.start().await.unwrap(), started);
    assert_eq!(children(children(harness.child.id())[0]), agent);

    let hook = sandbox.dir.path().join("hook");
    program(&hook, "env >> hook.txt; exec cat");
    git_in(&sandbox.repository(), &["config", "filter.seen.clean", hook.to_str().unwrap()]);
    fs::write(sandbox.repository().join(".gitattributes"), "*.sh filter=seen\n").unwrap();
    fs::write(sandbox.repository().join("src/lib.sh"), "echo changed\n").unwrap();
    // The agent's own git runs what the repository says.
    harness.agent(Method::GET, "file/status", &Value::Null).await;
    harness.agent(Method::GET, "vcs/status", &Value::Null).await;

    let session = harness.session().await;
    let events = harness.http.get("http://harness/v1/agent/http/event").send().await.unwrap();
    assert_eq!(events.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut events = std::pin::pin!(events.bytes_stream().eventsource());
    // It comes at once: nothing waits for more.
    let first = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    assert!(first.unwrap().unwrap().unwrap().data.contains("server.connected"));
    let turn = harness.turn(&session, "run: echo $((6*7)) > answer.txt; env > environment.txt");
    let idle = async {
        while let Some(event) = events.next().await {
            if event.unwrap().data.contains("session.idle") {
                return;
            }
        }
    };
    tokio::join!(turn, async {
        tokio::time::timeout(Duration::from_secs(30), idle).await.unwrap();
    });
    assert_eq!(fs::read_to_string(sandbox.repository().join("answer.txt")).unwrap(), "42\n");
    assert!(harness.messages(&session).await.to_string().contains("All done."));

    // A clean environment, in the agent and in what it starts. Its password goes no further than itself.
    let read = |name: &str| fs::read_to_string(sandbox.repository().join(name)).unwrap();
    let (shell, hook, agents) = (read("environment.txt"), read("hook.txt"), environment(agent[0]));
    for text in [&shell, &hook, &agents] {
        assert!(text.contains("HTTPS_PROXY=http://127.0.0.1:") && text.contains("NO_PROXY="));
        assert!(!text.contains("canary-of-the-callers-environment"));
    }
    let has_password =
        [&shell, &hook, &agents].map(|text| text.contains("OPENCODE_SERVER_PASSWORD="));
    assert_eq!(has_password, [false, false, true]);
    harness.end().await;
    assert!(!is_alive(agent[0]));
}

#[tokio::test]
async fn no_route_answers_the_providers_keys_or_takes_another_password() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let before = harness.http.get("http://harness/v1/agent/http/session").send().await.unwrap();
    let before: harness::wire::StepError = before.json().await.unwrap();
    assert_eq!(before.kind, StepErrorKind::Agent);
    harness.start().await.unwrap();
    let document = harness.agent(Method::GET, "doc", &Value::Null).await;
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Every route that can be asked for without knowing anything.
        if methods.get("get").is_none() || path.contains('{') || path.contains("event") {
            continue;
        }
        let url = format!("http://harness/v1/agent/http{path}");
        let request = harness.http.get(url).timeout(Duration::from_secs(3));
        let Ok(answer) = request.send().await else { continue };
        let text = answer.text().await.unwrap_or_default();
        assert!(!text.contains("canary-of-the-key"), "{path} answers the key");
        asked += 1;
    }
    assert!(asked > 30, "{asked}");
    let config = harness.http.get("http://harness/v1/agent/http/config").send().await.unwrap();
    assert_eq!(config.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let session = harness.http.get("http://harness/v1/agent/http/session");
    let session = session.basic_auth("somebody", Some("else")).send().await.unwrap();
    assert_eq!(session.status(), StatusCode::OK);
    harness.end().await;
}

#[tokio::test]
async fn a_terminal_is_reached_through_the_proxy() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let made = json!({ "command": "/bin/sh", "args": [], "title": "Test" });
    let pty = harness.agent(Method::POST, "pty", &made).await;
    let url = format!("ws://harness/v1/agent/http/pty/{}/connect", pty["id"].as_str().unwrap());
    let socket = UnixStream::connect(&harness.socket).await.unwrap();
    let (mut terminal, _) = client_async(url, socket).await.unwrap();
    terminal.send(Message::text("echo $((6*7))-from-inside\n")).await.unwrap();
    let mut seen = String::new();
    let look = async {
        while let Some(Ok(message)) = terminal.next().await {
            seen += &String::from_utf8_lossy(&message.into_data());
            if seen.contains("42-from-inside") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), look).await.unwrap();
    assert!(seen.contains("42-from-inside"), "{seen}");
    harness.end().await;
}

#[tokio::test]
async fn an_agent_that_is_killed_is_seen_and_can_be_started_again() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let server = children(harness.child.id())[0];
    let agent = children(server)[0];
    // Where memory is short it goes before those who are to say so.
    let first = |pid: u32| {
        let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        score.trim().parse::<i32>().unwrap()
    };
    assert_eq!(first(agent), 1000);
    assert!(first(server) < 1000);
    crate::support::kill(agent, "-KILL");
    wait_for("the end of the agent", || !is_alive(agent)).await;
    // Its process is gone before the harness has been told so.
    let seen = async {
        while matches!(harness.status().await, Agent::Running { .. }) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap();
    assert_eq!(
        harness.status().await,
        Agent::Exited { code: None, signal: Some(9), out_of_memory: false }
    );
    assert!(matches!(harness.start().await.unwrap().agent, Agent::Running { .. }));
    harness.end().await;
}

#[tokio::test]
async fn stopping_ends_what_the_agent_started_also_what_it_orphaned() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let session = harness.session().await;
    let loop_ = "sh -c 'echo $$ >> pids; exec sleep 1000'";
    let prompt = format!(
        "run: setsid {loop_} > /dev/null 2>&1 & nohup {loop_} > /dev/null 2>&1 & sleep 0.5"
    );
    harness.turn(&session, &prompt).await;
    let path = sandbox.repository().join("pids");
    let started = pids(&path);
    assert_eq!(started.len(), 2);
    assert!(started.iter().all(|pid| is_alive(*pid)));
    // A clone in the place of its work is refused as long as it is there.
    let refused = harness.clone(crate::support::REMOTE, "main", "x", false).await.unwrap_err();
    assert_eq!(refused.kind, StepErrorKind::Agent);
    let stopped: Status = harness.post("agent/stop", &()).await.unwrap();
    assert_eq!(stopped.agent, Agent::NotStarted);
    assert!(!started.iter().any(|pid| is_alive(*pid)));
    harness.end().await;
}

#[tokio::test]
async fn an_agent_that_does_not_start_says_why() {
    let sandbox = Sandbox::new();
    let broken = sandbox.dir.path().join("broken");
    crate::support::program(&broken, "echo words of its own >&2; exit 3");
    let harness = sandbox.harness_with(&broken).await;
    harness.clone(crate::support::REMOTE, "main", "x", false).await.unwrap();
    let failed = harness.start_whatever_it_is().await.unwrap_err();
    assert_eq!(failed.kind, StepErrorKind::Agent);
    assert!(failed.detail.contains("words of its own"), "{}", failed.detail);
    assert_eq!(
        harness.status().await,
        Agent::Exited { code: Some(3), signal: None, out_of_memory: false }
    );
    harness.end().await;

    let harness = sandbox.harness_with(&sandbox.dir.path().join("missing")).await;
    let failed = harness.start_whatever_it_is().await.unwrap_err();
    assert_eq!(failed.kind, StepErrorKind::Agent);
    harness.end().await;
}

#[tokio::test]
async fn an_agent_that_still_starts_can_be_stopped() {
    let sandbox = Sandbox::new();
    let mute = sandbox.dir.path().join("mute");
    crate::support::program(&mute, "exec sleep 1000");
    let harness = sandbox.harness_with(&mute).await;
    harness.clone(crate::support::REMOTE, "main", "x", false).await.unwrap();
    let (started, stopped) = tokio::join!(harness.start_whatever_it_is(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(harness.status().await, Agent::Starting);
        let stop = harness.post::<Status>("agent/stop", &());
        tokio::time::timeout(Duration::from_secs(5), stop).await.unwrap().unwrap()
    });
    assert_eq!(started.unwrap_err().kind, StepErrorKind::Agent);
    assert_eq!(stopped.agent, Agent::NotStarted);
    harness.end().await;
}
