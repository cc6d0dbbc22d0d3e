//! Every list goes on by its cursor, and by no other list's.

use std::collections::BTreeSet;

use api::gateway::Decision;
use domain::{ids::BundleDigest, run::SnapshotCause, session::BundleInfo};
use serde_json::{Value, json};

use crate::{front::Front, world::Workload};

/// All pages of a list of at most `limit`, each item by `key`.
async fn walk(front: &Front, path: &str, limit: usize, key: &str) -> Vec<String> {
    let mut all = vec![];
    let mut cursor = String::new();
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = front.read(&format!("{path}{joint}limit={limit}{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{path}");
        all.extend(items.iter().map(|item| match &item[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
        match page["next"].as_str() {
            Some(next) => {
                assert!(!items.is_empty(), "{path} goes on and has nothing");
                cursor = format!("&cursor={next}");
            }
            None => return all,
        }
    }
}

async fn with_bundles(front: &Front, workload: &Workload, count: u8) {
    for n in 1..=count {
        let world = &front.world;
        let mut tx = world.pool().begin().await.unwrap();
        let bundle = BundleInfo {
            digest: BundleDigest(format!("{n:064x}")),
            parent: None,
            size: n.into(),
            git_head: "a".repeat(40),
        };
        world
            .commands
            .store_snapshot_in_tx(
                &mut tx,
                workload.run,
                workload.generation,
                bundle,
                SnapshotCause::Interval,
                &world.caused(),
            )
            .await
            .unwrap();
        tx.commit().await.unwrap();
        world.commands.doorbell().ring();
    }
}

#[tokio::test]
async fn every_list_is_walked_by_its_cursor() {
    let front = Front::new().await;
    let (workload, _sidecar) = front.world.running().await;
    with_bundles(&front, &workload, 5).await;
    for n in 0..4 {
        let new = json!({ "repo": "acme/widget", "title": format!("Session {n}") });
        let id = front.post("/api/v1/sessions", &new).await;
        front.caught_up().await;
        front.post(&format!("/api/v1/sessions/{id}/runs"), &json!({ "prompt": "Go" })).await;
        front.post("/api/v1/tokens", &json!({ "name": format!("token {n}") })).await;
    }
    let decisions: Vec<Decision> = (0..5)
        .map(|n| {
            serde_json::from_value(json!({
                "id": uuid::Uuid::now_v7(), "run": workload.run, "at": "2026-01-01T00:00:00Z",
                "kind": "connect", "host": format!("h{n}.test"), "port": 443, "verdict": "refused",
                "rule": "none", "bytes_up": 0, "bytes_down": 0, "duration_ms": 1,
            }))
            .unwrap()
        })
        .collect();
    keep(&front, &decisions).await;
    front.caught_up().await;
    let (session, run) = (workload.session, workload.run);
    let mut cursors = vec![];
    for (path, key, count) in [
        ("/api/v1/sessions".to_owned(), "id", 5),
        ("/api/v1/sessions?group=waiting".to_owned(), "id", 4),
        ("/api/v1/sessions?q=session".to_owned(), "id", 4),
        ("/api/v1/runs".to_owned(), "id", 5),
        ("/api/v1/runs?active=true".to_owned(), "id", 5),
        (format!("/api/v1/sessions/{session}/artifacts"), "id", 5),
        (format!("/api/v1/runs/{run}/egress"), "id", 5),
        ("/api/v1/tokens".to_owned(), "id", 5),
    ] {
        let whole = walk(&front, &path, 200, key).await;
        assert_eq!(whole.len(), count, "{path}");
        assert_eq!(walk(&front, &path, 2, key).await, whole, "{path}");
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), count, "{path}");
        let joint = if path.contains('?') { '&' } else { '?' };
        let next = front.read(&format!("{path}{joint}limit=2")).await["next"].clone();
        cursors.push((format!("{path}{joint}"), next.as_str().unwrap().to_owned()));
    }
    let versions = walk(&front, &format!("/api/v1/runs/{run}/events"), 3, "version").await;
    let expected: Vec<String> = (1..=versions.len()).map(|n| n.to_string()).collect();
    assert!(versions.len() > 6);
    assert_eq!(versions, expected);
    let of_one = walk(&front, &format!("/api/v1/sessions/{session}/runs"), 1, "id").await;
    assert_eq!(of_one, [run.to_string()]);
    let branches = walk(&front, "/api/v1/repositories/acme/widget/branches", 50, "name").await;
    assert_eq!(branches.len(), 121);
    let issues = walk(&front, "/api/v1/repositories/acme/widget/issues", 50, "number").await;
    assert_eq!(issues.len(), 70);
    assert_eq!(walk(&front, "/api/v1/profiles", 50, "name").await, ["default"]);

    // A cursor of one list is none of another.
    for (path, _) in &cursors {
        for (of, cursor) in &cursors {
            let answer = front.get(&format!("{path}cursor={cursor}")).await;
            if of == path {
                assert_eq!(answer.status, 200, "{path}");
            } else {
                assert_eq!(answer.status, 400, "{path} takes a cursor of {of}");
                assert_eq!(answer.body["errors"][0]["field"], "cursor");
            }
        }
    }
    front.end().await;
}

/// As a gateway reports them.
async fn keep(front: &Front, decisions: &[Decision]) {
    let url = format!("{}/gateway/v1/decisions", front.gateway_listener().await);
    let body = json!({ "decisions": decisions });
    let answer = front.http.post(url).bearer_auth("t").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

#[tokio::test]
async fn branches_and_issues_are_found_by_what_is_typed() {
    let front = Front::new().await;
    let found = async |path: &str, key: &str| {
        let list = front.read(&format!("/api/v1/repositories/acme/widget/{path}")).await;
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item[key].to_string().replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(
        found("branches?q=11", "name").await,
        [
            "topic/011",
            "topic/110",
            "topic/111",
            "topic/112",
            "topic/113",
            "topic/114",
            "topic/115",
            "topic/116",
            "topic/117",
            "topic/118",
            "topic/119"
        ]
    );
    assert_eq!(found("branches?q=MAI", "name").await, ["main"]);
    assert_eq!(found("issues?q=day%207&limit=3", "number").await, ["70", "7"]);
    assert_eq!(found("issues?q=66", "number").await, ["66"]);
    assert_eq!(found("issues?q=%2366", "number").await, ["66"]);
    assert_eq!(found("issues?q=nothing", "number").await, [""; 0]);
    let repository = front.read("/api/v1/repositories/acme/old").await;
    assert_eq!((&repository["private"], &repository["can_push"]), (&json!(true), &json!(false)));
    assert_eq!(repository["why_not"], "the repository is archived");
    let repository = front.read("/api/v1/repositories/acme/widget").await;
    assert_eq!((&repository["can_push"], &repository["why_not"]), (&json!(true), &Value::Null));
    assert_eq!(front.get("/api/v1/repositories/acme/none").await.status, 404);
    front.end().await;
}
