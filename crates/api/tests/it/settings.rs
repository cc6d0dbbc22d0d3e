//! The settings of the installation: what holds and why, changes that are checked, who made them.

use api::settings::{Configured, Layer, Place};
use domain::{
    event::Event,
    ids::StreamVersion,
    run,
    settings::{Limits, Retention},
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::front::{Answered, Front, answered};

const SETTINGS: &str = "/api/v1/settings";

async fn put(front: &Front, path: &str, body: &Value) -> Answered {
    front.send(Method::PUT, &format!("{SETTINGS}/{path}"), body).await
}

async fn at(front: &Front, path: &str, version: &str, body: &Value) -> Answered {
    let request = front.request(Method::PUT, &format!("{SETTINGS}/{path}")).json(body);
    answered(request.header(header::IF_MATCH, version)).await
}

/// How many events the settings have.
async fn events(front: &Front) -> usize {
    front.world.commands.load_settings().await.unwrap().events.len()
}

fn fields(answer: &Answered) -> Vec<String> {
    let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let mut fields: Vec<String> =
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn what_holds_says_where_it_is_from() {
    let limits = Limits { max_runs: 7, max_runs_per_owner: 2 };
    let configured =
        Configured { limits: Layer { value: limits, given: true }, ..Configured::default() };
    let front = Front::configured(configured).await;
    let before = front.get(SETTINGS).await;
    assert_eq!(before.headers[header::ETAG], "\"0\"");
    assert_eq!(before.body["limits"]["value"]["max_runs"], 7);
    assert_eq!(before.body["limits"]["source"]["kind"], "configuration");
    assert_eq!(before.body["retention"]["source"]["kind"], "default");
    assert_eq!(before.body["profiles"]["items"][0]["name"], "default");
    assert_eq!(before.body["place"], "machine");

    let body = json!({ "max_runs": 3, "max_runs_per_owner": 2 });
    let done = put(&front, "limits", &body).await;
    assert_eq!(done.status, 202, "{}", done.body);
    assert_eq!(done.headers[header::ETAG], "\"1\"");
    assert_eq!(done.body["changes"], json!([{ "field": "max_runs", "old": 7, "new": 3 }]));
    let effect = done.body["effect"].as_str().unwrap();
    assert!(effect.contains("next admission") && effect.contains("0 runs are active"), "{effect}");

    let me = front.read("/api/v1/me").await;
    let after = front.read(SETTINGS).await;
    assert_eq!(after["limits"]["value"]["max_runs"], 3);
    assert_eq!(after["limits"]["configured"]["max_runs"], 7);
    let source = &after["limits"]["source"];
    assert_eq!(source["kind"], "changed");
    assert_eq!(source["actor"], format!("user:{}", me["id"].as_str().unwrap()));
    assert_eq!(source["version"], 1);
    assert!(source["time"].is_string());

    // The same again is no change.
    let again = put(&front, "limits", &body).await;
    assert_eq!((again.status.as_u16(), &again.body["changes"]), (202, &json!([])));
    assert_eq!(again.body["version"], 1);
    let back = front.send(Method::DELETE, &format!("{SETTINGS}/limits"), &json!({})).await;
    assert_eq!(back.body["changes"][0]["new"], 7);
    let source = &front.read(SETTINGS).await["limits"]["source"];
    assert_eq!(source["kind"], "configuration");
    front.end().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_field_by_field_and_changes_nothing() {
    let front = Front::new().await;
    let profile = json!({
        "memory_mib": 1, "egress": "open", "image": "ghcr.io/a/b:1", "runtime_class": "gvisor",
        "env": { "GITHUB_TOKEN": "x", "PATH": "/bin", "OK": "1" },
    });
    let wrong = [
        (
            "limits",
            json!({ "max_runs": 20_000, "max_runs_per_owner": 20_000, "max_runs_per_session": 2 }),
            vec!["max_runs", "max_runs_per_owner", "max_runs_per_session"],
        ),
        (
            "allow-list",
            json!({ "hosts": ["a.org", "https://b.org", "10.0.0.1"] }),
            vec!["hosts[1]", "hosts[2]"],
        ),
        (
            "retention",
            json!({ "superseded_bundle_minutes": 1, "bundle_days": 0, "output_days": 1, "partial_upload_hours": 1 }),
            vec!["bundle_days", "superseded_bundle_minutes"],
        ),
        (
            "profiles/large",
            profile,
            vec!["egress", "env.GITHUB_TOKEN", "env.PATH", "image", "memory_mib", "runtime_class"],
        ),
        ("profiles/not%20a%20name", json!({}), vec!["name"]),
    ];
    for (path, body, expected) in &wrong {
        for path in [(*path).to_owned(), format!("{path}?dry_run=true")] {
            let answer = put(&front, &path, body).await;
            assert_eq!(answer.status, 422, "{path}: {}", answer.body);
            assert_eq!(answer.body["type"], "https://paddock.dev/problems/settings-invalid");
            assert_eq!(fields(&answer), *expected, "{path}: {}", answer.body);
        }
    }
    let secret = put(&front, "profiles/x", &json!({ "env": { "API_TOKEN": "x" } })).await;
    assert!(secret.body["errors"][0]["detail"].as_str().unwrap().contains("credentials"));
    for (path, body) in [
        ("limits", json!({ "max_runs": 1 })),
        ("limits", json!({ "max_runs": -1, "max_runs_per_owner": 1 })),
        ("profiles/x", json!({ "memory": 1 })),
        ("limits?dry=true", json!({ "max_runs": 1, "max_runs_per_owner": 1 })),
    ] {
        let status = put(&front, path, &body).await.status.as_u16();
        assert!(matches!(status, 400 | 422), "{path} {body}: {status}");
    }
    assert_eq!(events(&front).await, 0);
    // What was refused is on the record of whoever tried, once a minute; what was only asked is not.
    let refused: i64 = sqlx::query_scalar(
        "select count(*) from paddock.event where name = 'actor.command.refused'
           and convert_from(body, 'UTF8') like '%settings-invalid%'",
    )
    .fetch_one(front.world.pool())
    .await
    .unwrap();
    assert_eq!(refused, 1);
    front.end().await;
}

#[tokio::test]
async fn a_change_of_an_older_version_is_refused_and_one_that_is_only_asked_for_changes_nothing() {
    let front = Front::new().await;
    let hosts = |hosts: &[&str]| json!({ "hosts": hosts });
    let asked = put(&front, "allow-list?dry_run=true", &hosts(&["b.org", "a.org"])).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert_eq!(asked.body["dry_run"], true);
    assert_eq!(asked.body["changes"].as_array().unwrap().len(), 2);
    assert!(asked.body["effect"].as_str().unwrap().contains("new connections of all runs"));
    assert_eq!(events(&front).await, 0);

    assert_eq!(at(&front, "allow-list", "\"0\"", &hosts(&["a.org"])).await.status, 202);
    let late = at(&front, "allow-list", "\"0\"", &hosts(&["c.org"])).await;
    assert_eq!(late.status, 412, "{}", late.body);
    let late = at(&front, "allow-list?dry_run=true", "\"0\"", &hosts(&["c.org"])).await;
    assert_eq!(late.status, 412);
    assert_eq!(at(&front, "allow-list", "\"1\"", &hosts(&["a.org", "c.org"])).await.status, 202);
    let now = front.read(SETTINGS).await;
    assert_eq!(now["allow_list"]["value"]["hosts"], json!(["a.org", "c.org"]));

    // One that is sent again is one change, and has the first answer.
    let send = |hosts: Value| {
        let request = front.request(Method::PUT, &format!("{SETTINGS}/allow-list")).json(&hosts);
        answered(request.header("idempotency-key", "once"))
    };
    let first = send(hosts(&["d.org"])).await;
    put(&front, "allow-list", &hosts(&["e.org"])).await;
    let again = send(hosts(&["d.org"])).await;
    assert_eq!((again.status, &again.body["version"]), (first.status, &first.body["version"]));
    assert_eq!(again.body["changes"], first.body["changes"]);
    assert_eq!(events(&front).await, 4);
    front.end().await;
}

#[tokio::test]
async fn a_run_keeps_what_its_profile_gave_when_it_was_asked_for() {
    let front =
        Front::configured(Configured { place: Place::Cluster, ..Configured::default() }).await;
    let profile = json!({
        "image": "ghcr.io/acme/agent:1", "runtime_class": "gvisor", "memory_mib": 4096, "cpu_millis": 500,
        "disk_mib": 1024, "deadline_seconds": 900, "linger_seconds": 30, "max_retries": 0,
        "env": { "NODE_ENV": "test" }, "permission": { "*": "ask" },
    });
    assert_eq!(put(&front, "profiles/large", &profile).await.status, 202);
    let names: Vec<Value> = front.read("/api/v1/profiles").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|profile| profile["name"].clone())
        .collect();
    assert_eq!(names, ["default", "large"]);

    let session = json!({ "repo": "acme/widget", "title": "x" });
    let session = front.post("/api/v1/sessions", &session).await;
    let run = json!({ "prompt": "do it", "profile": "large" });
    let run = front.post(&format!("/api/v1/sessions/{session}/runs"), &run).await;
    front.caught_up().await;
    let smaller = put(&front, "profiles/large", &json!({ "memory_mib": 512 })).await;
    let effect = smaller.body["effect"].as_str().unwrap();
    assert!(effect.contains("keeps") && effect.contains("1 run"), "{effect}");
    let path = format!("{SETTINGS}/profiles/large");
    assert_eq!(front.send(Method::DELETE, &path, &json!({})).await.status, 202);

    let id = run.parse::<Uuid>().map(domain::ids::RunId).unwrap();
    let stored = front.world.commands.run_events(id, StreamVersion::NONE).await.unwrap();
    let Event::Run(run::Event::Requested(requested)) = &stored[0].event else { panic!() };
    assert_eq!((requested.memory_mib, requested.disk_mib), (4096, 1024));
    assert_eq!((requested.deadline_seconds, requested.linger_seconds), (900, 30));
    assert_eq!(requested.max_retries, 0);
    let harness = &requested.harness;
    assert_eq!(harness.image.as_deref(), Some("ghcr.io/acme/agent:1"));
    assert_eq!(harness.runtime_class.as_deref(), Some("gvisor"));
    assert_eq!(harness.cpu_millis, Some(500));
    assert_eq!(harness.env["NODE_ENV"], "test");
    assert_eq!(harness.permission, Some(json!({ "*": "ask" })));
    assert_eq!(harness.settings, Some(StreamVersion(1)));
    // And so does its workload.
    front.world.run(id, run::Command::Admit).await;
    front.caught_up().await;
    let desired = front.views.desired_workloads().await.unwrap();
    assert_eq!((desired.len(), &desired[0].harness), (1, harness));

    let other = json!({ "repo": "acme/widget", "title": "y" });
    let other = front.post("/api/v1/sessions", &other).await;
    let run = json!({ "prompt": "do it", "profile": "large" });
    let gone = front.send(Method::POST, &format!("/api/v1/sessions/{other}/runs"), &run).await;
    assert_eq!(gone.body["type"], "https://paddock.dev/problems/profile-not-found");
    front.end().await;
}

#[tokio::test]
async fn a_profile_that_this_place_cannot_give_starts_no_run() {
    let text = r#"{ "boxed": { "runtime_class": "gvisor" } }"#;
    let profiles = serde_json::from_str(text).unwrap();
    let front = Front::configured(Configured { profiles, ..Configured::default() }).await;
    let session = json!({ "repo": "acme/widget", "title": "x" });
    let session = front.post("/api/v1/sessions", &session).await;
    let run = json!({ "prompt": "do it", "profile": "boxed" });
    let refused = front.send(Method::POST, &format!("/api/v1/sessions/{session}/runs"), &run).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body["type"], "https://paddock.dev/problems/profile-not-here");
    assert!(refused.body["errors"][0]["detail"].as_str().unwrap().contains("RuntimeClass"));
    front.end().await;
}

#[tokio::test]
async fn the_history_says_who_changed_what_as_a_diff_the_newest_first() {
    let front = Front::new().await;
    for max_runs in 1..=5 {
        let body = json!({ "max_runs": max_runs, "max_runs_per_owner": 4 });
        assert_eq!(put(&front, "limits", &body).await.status, 202);
    }
    let profile = json!({ "env": { "A": "1" } });
    assert_eq!(put(&front, "profiles/x", &profile).await.status, 202);
    let path = format!("{SETTINGS}/profiles/x");
    assert_eq!(front.send(Method::DELETE, &path, &json!({})).await.status, 202);
    let unknown = front.send(Method::DELETE, &format!("{SETTINGS}/profiles/y"), &json!({})).await;
    assert_eq!(unknown.status, 404);
    let default =
        front.send(Method::DELETE, &format!("{SETTINGS}/profiles/default"), &json!({})).await;
    assert_eq!(default.status, 409);

    let mut items: Vec<Value> = vec![];
    let mut cursor = String::new();
    loop {
        let page = front.read(&format!("{SETTINGS}/history?limit=3{cursor}")).await;
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let versions: Vec<u64> = items.iter().map(|item| item["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(items[0]["type"], "settings.profile.removed");
    assert_eq!(items[1]["profile"], "x");
    let changes = items[1]["changes"].as_array().unwrap();
    assert!(changes.contains(&json!({ "field": "env.A", "old": null, "new": "1" })), "{changes:?}");
    assert_eq!(items[2]["changes"], json!([{ "field": "max_runs", "old": 4, "new": 5 }]));
    assert_eq!(items[6]["changes"], json!([{ "field": "max_runs", "old": 4, "new": 1 }]));
    let me = front.read("/api/v1/me").await;
    assert_eq!(items[0]["actor"], format!("user:{}", me["id"].as_str().unwrap()));
    assert_eq!(front.get(&format!("{SETTINGS}/history?cursor=x")).await.status, 400);
    // Each is an event of the log that anybody can read the schema of.
    let schema = front.read("/schemas/settings.limits.changed/1").await;
    assert!(schema["properties"]["limits"].is_object(), "{schema}");
    front.end().await;
}

#[tokio::test]
async fn what_is_older_than_it_is_to_be_kept_is_told_before_it_goes() {
    let front = Front::new().await;
    let world = &front.world;
    let workload = world.admitted().await;
    let run = workload.run.0;
    sqlx::query(
        "insert into runtime.run_link (run, session, generation, epoch, acked, done, items, seen_at, settled)
         values ($1, $2, 1, 1, 0, 0, 1, now() - interval '40 days', true)",
    )
    .bind(run)
    .bind(workload.session.0)
    .execute(world.pool())
    .await
    .unwrap();
    sqlx::query(
        "insert into runtime.run_output (run, seq, zstd, item) values ($1, 1, false, '{}')",
    )
    .bind(run)
    .execute(world.pool())
    .await
    .unwrap();
    for (digest, days) in [("a", 50), ("b", 45), ("c", 1)] {
        sqlx::query(
            "insert into runtime.artifact (digest, session, run, generation, size, uploaded_at)
             values (repeat($1, 64), $2, gen_random_uuid(), 1, 1, now() - make_interval(days => $3))",
        )
        .bind(digest)
        .bind(workload.session.0)
        .bind(days)
        .execute(world.pool())
        .await
        .unwrap();
    }
    let keep = |bundle_days: Option<u32>, output_days: Option<u32>| {
        json!({ "superseded_bundle_minutes": 10, "partial_upload_hours": 24,
            "bundle_days": bundle_days, "output_days": output_days })
    };
    for (bundles, outputs, words) in [
        (None, None, "no bundle and the output of no run"),
        (Some(48), Some(39), "1 bundle and the output of 1 run"),
        (Some(30), Some(41), "2 bundles and the output of no run"),
    ] {
        let asked = put(&front, "retention?dry_run=true", &keep(bundles, outputs)).await;
        let effect = asked.body["effect"].as_str().unwrap();
        assert!(effect.contains(words), "{bundles:?} {outputs:?}: {effect}");
    }
    assert_eq!(Retention::default().output_days, None);
    front.end().await;
}
