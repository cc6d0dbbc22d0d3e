//! What the page's list of sessions is made of.

use domain::{
    ids::{Generation, InputId, RunId},
    run::{Command, Failure, InputKind, Usage},
};
use link::Fact;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    front::Front,
    world::{Sidecar, Workload},
};

async fn session_of(front: &Front, workload: &Workload) -> Value {
    front.caught_up().await;
    front.read(&format!("/api/v1/sessions/{}", workload.session)).await
}

async fn asks(sidecar: &mut Sidecar, detail: Value) {
    let input = InputId("per_1".to_owned());
    let fact = Fact::InputRequired { input, kind: InputKind::Permission, detail };
    sidecar.fact(fact).await;
}

#[tokio::test]
async fn a_session_is_in_the_group_of_what_it_asks_of_people() {
    let front = Front::new().await;
    let world = &front.world;
    let (workload, mut sidecar) = world.running().await;
    let body = session_of(&front, &workload).await;
    assert_eq!((&body["group"], &body["state"]), (&json!("working"), &json!("running")));
    assert_eq!(body["inputs"], json!([]));

    asks(&mut sidecar, json!({ "permission": "bash", "patterns": ["npm test"] })).await;
    let body = session_of(&front, &workload).await;
    assert_eq!((&body["group"], &body["state"]), (&json!("needs_you"), &json!("awaiting_input")));
    assert_eq!(body["reason"], "asks to run: npm test");
    assert_eq!(body["last"]["text"], "asked for a permission");
    let input = &body["inputs"][0];
    assert_eq!(input["id"], "per_1");
    assert_eq!(input["run_id"], workload.run.to_string());
    assert_eq!(input["detail"]["patterns"][0], "npm test");

    let path = format!("/api/v1/runs/{}/inputs/per_1", workload.run);
    let answer = front.send(Method::POST, &path, &json!({ "reply": "once" })).await;
    assert_eq!(answer.status, 202);
    let body = session_of(&front, &workload).await;
    assert_eq!((&body["group"], &body["inputs"]), (&json!("working"), &json!([])));

    // A failure needs somebody until somebody does something about it.
    let generation = Generation::FIRST;
    let failed = Command::ReportTurnFailed { generation, failure: Failure::Model, detail: None };
    world.run(workload.run, failed).await;
    world.run(workload.run, Command::AbandonSnapshot).await;
    let body = session_of(&front, &workload).await;
    assert_eq!((&body["group"], &body["state"]), (&json!("needs_you"), &json!("failed")));
    assert_eq!(body["reason"], "the model failed");
    let path = format!("/api/v1/sessions/{}", workload.session);
    let answer = front.send(Method::PATCH, &path, &json!({ "title": "Seen" })).await;
    assert_eq!(answer.status, 202);
    let body = session_of(&front, &workload).await;
    assert_eq!((&body["group"], &body["state"]), (&json!("done"), &json!("failed")));
    front.end().await;
}

#[tokio::test]
async fn a_session_without_runs_waits_and_one_that_is_queued_says_why() {
    let front = Front::new().await;
    let new = json!({ "repo": "acme/widget", "title": "Paint it blue" });
    let session = front.post("/api/v1/sessions", &new).await;
    front.caught_up().await;
    let path = format!("/api/v1/sessions/{session}");
    let body = front.read(&path).await;
    assert_eq!((&body["group"], &body["state"]), (&json!("waiting"), &Value::Null));
    assert_eq!(body["reason"], "it has not run yet");
    let run = front.post(&format!("{path}/runs"), &json!({ "prompt": "Do it" })).await;
    let adapter = domain::run::QueueReason::Adapter { problem: "no bwrap".to_owned() };
    let run: RunId = run.parse().unwrap();
    front.world.run(run, Command::Queue { reason: adapter }).await;
    front.caught_up().await;
    let body = front.read(&path).await;
    assert_eq!((&body["group"], &body["state"]), (&json!("waiting"), &json!("queued")));
    assert_eq!(body["reason"], "no bwrap");
    assert_eq!(body["last"]["text"], "queued: no bwrap");
    front.end().await;
}

#[tokio::test]
async fn what_the_agent_does_and_uses_is_in_the_list() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    let call = link::Item::Part {
        message: "msg_1".into(),
        id: "prt_1".into(),
        part: json!({ "type": "tool", "tool": "bash", "state": { "title": "make test" } }),
    };
    let seq = sidecar.frame(link::Body::Output { items: vec![call] }).await;
    sidecar.acked(seq).await;
    for cost in [1_000, 2_500] {
        let usage = Usage { input_tokens: 10, cost_micro_usd: cost, ..Usage::default() };
        sidecar.fact(Fact::Usage { usage }).await;
    }
    let body = session_of(&front, &workload).await;
    assert_eq!(body["last"]["text"], "bash: make test");
    assert_eq!(body["usage"]["cost_micro_usd"], 2_500);

    // A second run's usage is added to the first's.
    front.world.run(workload.run, Command::Cancel).await;
    front.world.run(workload.run, Command::AbandonSnapshot).await;
    let path = format!("/api/v1/sessions/{}/runs", workload.session);
    front.caught_up().await;
    let run: RunId = front.post(&path, &json!({ "prompt": "More" })).await.parse().unwrap();
    front.world.run(run, Command::Admit).await;
    let usage = Usage { input_tokens: 5, cost_micro_usd: 500, ..Usage::default() };
    let generation = Generation::FIRST;
    front.world.run(run, Command::ReportUsage { generation, usage }).await;
    let body = session_of(&front, &workload).await;
    assert_eq!(body["usage"]["cost_micro_usd"], 3_000);
    assert_eq!(body["usage"]["input_tokens"], 15);
    assert_eq!(body["runs"], 2);
    front.end().await;
}

#[tokio::test]
async fn sessions_are_found_by_group_repository_and_words() {
    let front = Front::new().await;
    let mut ids = vec![];
    for (title, issue) in [("Paint the fence", None), ("Mend the gate", Some(42))] {
        let new = json!({ "repo": "acme/widget", "title": title, "issue": issue });
        ids.push(front.post("/api/v1/sessions", &new).await);
    }
    let (workload, _sidecar) = front.world.running().await;
    ids.push(workload.session.to_string());
    front.caught_up().await;
    let found = async |query: &str| {
        let list = front.read(&format!("/api/v1/sessions?{query}")).await;
        let items = list["items"].as_array().unwrap();
        let found: Vec<usize> = items
            .iter()
            .map(|item| ids.iter().position(|id| item["id"] == **id).unwrap())
            .collect();
        found
    };
    assert_eq!(found("").await, [2, 1, 0]);
    assert_eq!(found("group=working").await, [2]);
    assert_eq!(found("group=waiting").await, [1, 0]);
    assert_eq!(found("group=done").await, [0_usize; 0]);
    assert_eq!(found("repo=ACME/widget&group=waiting").await, [1, 0]);
    assert_eq!(found("repo=acme/other").await, [0_usize; 0]);
    assert_eq!(found("q=FENCE").await, [0], "by title");
    assert_eq!(found("q=%2342").await, [1], "by issue");
    assert_eq!(found("q=acme/wid").await, [2, 1, 0], "by repository");
    assert_eq!(found("q=paddock/paint").await, [0], "by branch");
    assert_eq!(found("q=%25").await, [0_usize; 0], "nothing is a pattern");
    let counts = front.read("/api/v1/sessions/counts").await;
    let expected = json!({ "needs_you": 0, "working": 1, "waiting": 2, "done": 0, "archived": 0 });
    assert_eq!(counts, expected);
    front.send(Method::POST, &format!("/api/v1/sessions/{}/archive", ids[0]), &json!({})).await;
    front.caught_up().await;
    let counts = front.read("/api/v1/sessions/counts").await;
    assert_eq!((&counts["waiting"], &counts["archived"]), (&json!(1), &json!(1)));
    assert_eq!(found("archived=true").await, [0]);
    let list = front.read("/api/v1/sessions").await;
    assert_eq!(list["position"], front.views.projected().await.unwrap().0);
    front.end().await;
}
