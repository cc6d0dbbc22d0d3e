//! One stream for many topics: resumed without a gap or a repeat, and closed when its reader may not read.

use std::time::Duration;

use domain::run::Command;
use link::{Body, Item};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    front::{Front, answered},
    sse::Events,
};

async fn new_session(front: &Front, title: &str) -> String {
    front.post("/api/v1/sessions", &json!({ "repo": "acme/widget", "title": title })).await
}

fn lines(range: std::ops::RangeInclusive<u64>) -> Body {
    Body::Output { items: range.map(|n| Item::Gap { reason: format!("line {n}") }).collect() }
}

#[tokio::test]
async fn sessions_are_told_as_they_change_and_go_on_from_any_place() {
    let front = Front::new().await;
    let before = front.read("/api/v1/sessions").await["position"].as_u64().unwrap();
    let mut live = Events::open(&front, "sessions").await;
    let mut told = vec![];
    for n in 0..5 {
        let id = new_session(&front, &format!("Session {n}")).await;
        let event = live.next_of("session").await;
        assert_eq!((&event["topic"], &event["session"]["id"]), (&json!("sessions"), &json!(id)));
        assert_eq!(event["session"]["title"], format!("Session {n}"));
        told.push((event["at"].as_str().unwrap().to_owned(), id));
    }
    assert!(live.moment().await.is_empty(), "each once");

    // From each place on, exactly those after it, in the same order.
    for from in 0..=5 {
        let at = if from == 0 { before.to_string() } else { told[from - 1].0.clone() };
        let mut again = Events::open(&front, &format!("sessions@{at}")).await;
        let all = again.moment().await;
        let ids: Vec<&Value> = all.iter().map(|(_, event)| &event["session"]["id"]).collect();
        let expected: Vec<&String> = told[from..].iter().map(|(_, id)| id).collect();
        assert_eq!(ids, expected, "from {at}");
        let places: Vec<&Value> = all.iter().map(|(_, event)| &event["at"]).collect();
        let expected: Vec<&String> = told[from..].iter().map(|(at, _)| at).collect();
        assert_eq!(places, expected);
    }

    let deleted = &told[2].1;
    front.send(Method::DELETE, &format!("/api/v1/sessions/{deleted}"), &json!({})).await;
    let event = live.next_of("session").await;
    assert_eq!((&event["removed"], event.get("session")), (&json!(deleted), None));
    front.end().await;
}

#[tokio::test]
async fn whoever_is_too_far_behind_or_ahead_loads_the_list_anew() {
    let front = Front::new().await;
    for n in 0..201 {
        new_session(&front, &format!("Session {n}")).await;
    }
    front.caught_up().await;
    let now = front.views.projected().await.unwrap();
    let mut behind = Events::open(&front, "sessions@0").await;
    let mut ahead = Events::open(&front, "sessions@1000000").await;
    for events in [&mut behind, &mut ahead] {
        let reset = events.next_of("reset").await;
        assert_eq!(reset, json!({ "topic": "sessions", "at": now.to_string() }));
    }
    let id = new_session(&front, "After that").await;
    for events in [&mut behind, &mut ahead] {
        assert_eq!(events.next_of("session").await["session"]["id"], id);
        assert!(events.seen.is_empty());
    }
    front.end().await;
}

#[tokio::test]
async fn a_run_and_its_output_are_told_without_a_gap_or_a_repeat() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run;
    let seq = sidecar.frame(lines(1..=300)).await;
    sidecar.acked(seq).await;
    let mut events = Events::open(&front, &format!("run:{run}@0,output:{run}@0")).await;
    let first = events.next_of("run").await;
    let versions: Vec<u64> = first["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
    assert_eq!(first["at"], versions.len().to_string());
    assert_eq!(first["run"]["state"], "running");
    let mut items: Vec<Value> = vec![];
    // Output may be told before the run's events are: the two topics are not ordered between them.
    let mut collect = |event: &Value| -> u64 {
        let batch = event["items"].as_array().unwrap();
        assert!(batch.len() <= 256);
        assert_eq!(event["at"], batch.last().unwrap()["seq"].to_string());
        items.extend(batch.iter().cloned());
        event["at"].as_str().unwrap().parse().unwrap()
    };
    let mut place = 0;
    for (_, event) in events.seen.drain(..) {
        place = collect(&event);
    }
    while place < 300 {
        place = collect(&events.next_of("output").await);
    }
    // The connection breaks; more comes meanwhile; the reader is back with its places.
    drop(events);
    let seq = sidecar.frame(lines(301..=310)).await;
    sidecar.acked(seq).await;
    front.world.run(run, Command::Cancel).await;
    let topics = format!("run:{run}@{},output:{run}@{place}", versions.len());
    let mut events = Events::open(&front, &topics).await;
    let seq = sidecar.frame(lines(311..=320)).await;
    sidecar.acked(seq).await;
    front.world.run(run, Command::AbandonSnapshot).await;
    let mut more: Vec<u64> = vec![];
    let mut ended = false;
    while place < 320 || !ended {
        let (kind, event) = events.next().await.unwrap();
        match &kind[..] {
            "output" => place = collect(&event),
            "run" => {
                let told = event["events"].as_array().unwrap();
                more.extend(told.iter().map(|e| e["version"].as_u64().unwrap()));
                ended |= event["run"]["state"] == "cancelled";
            }
            other => panic!("{other}"),
        }
    }
    let seqs: Vec<u64> = items.iter().map(|item| item["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=320).collect::<Vec<_>>());
    assert!(items.iter().all(|item| {
        item["item"] == "gap" && item["reason"] == format!("line {}", item["seq"])
    }));
    let first_more = versions.len() as u64 + 1;
    assert_eq!(more, (first_more..first_more + more.len() as u64).collect::<Vec<_>>());
    front.end().await;
}

#[tokio::test]
async fn an_ended_runs_output_ends_and_a_run_that_is_not_there_is_gone_while_others_go_on() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    let run = workload.run;
    let seq = sidecar.frame(lines(1..=3)).await;
    sidecar.acked(seq).await;
    let generation = workload.generation;
    front.world.run(run, Command::Cancel).await;
    front.world.run(run, Command::AbandonSnapshot).await;
    let removed = Command::ReportWorkloadRemoved { generation, output_digest: None };
    front.world.run(run, removed).await;
    front.caught_up().await;
    let none = uuid::Uuid::now_v7();
    let topics = format!("output:{run}@1,run:{none},output:{none},changes:{none},sessions");
    let mut events = Events::open(&front, &topics).await;
    let mut gone = vec![];
    let mut output = vec![];
    while gone.len() < 3 || output.len() < 2 {
        let (kind, event) = events.next().await.unwrap();
        match &kind[..] {
            "gone" => gone.push(event["topic"].as_str().unwrap().to_owned()),
            _ => output.push((kind, event)),
        }
    }
    gone.sort();
    assert_eq!(gone, [format!("changes:{none}"), format!("output:{none}"), format!("run:{none}")]);
    assert_eq!(output[0].1["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        output[1],
        ("output-end".to_owned(), json!({ "topic": format!("output:{run}"), "at": "3" }))
    );
    let id = new_session(&front, "Still here").await;
    assert_eq!(events.next_of("session").await["session"]["id"], id);
    front.end().await;
}

#[tokio::test]
async fn what_an_agent_does_and_a_new_diff_are_told() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    front.caught_up().await;
    let run = workload.run;
    let mut events = Events::open(&front, &format!("sessions,changes:{run}")).await;
    // So that both topics wait.
    assert!(events.moment().await.is_empty());
    let part = json!({ "type": "tool", "tool": "edit", "state": { "title": "src/main.rs" } });
    let call = Item::Part { message: "m".into(), id: "p".into(), part };
    sidecar.frame(Body::Output { items: vec![call] }).await;
    let event = events.next_of("session").await;
    assert_eq!(event["session"]["last"]["text"], "edit: src/main.rs");
    let changes = link::Answered::Changes {
        base: "a".repeat(40),
        head: "b".repeat(40),
        diff: "+1".to_owned(),
        truncated: false,
    };
    sidecar.frame(Body::Changes(changes)).await;
    assert_eq!(events.next_of("changes").await, json!({ "topic": format!("changes:{run}") }));
    front.end().await;
}

#[tokio::test]
async fn a_stream_closes_within_five_seconds_of_its_credential() {
    let front = Front::new().await;
    let body = json!({ "name": "laptop" });
    let token = front.send(Method::POST, "/api/v1/tokens", &body).await.body;
    let request = front
        .http
        .get(front.url("/api/v1/events?topics=sessions,system"))
        .bearer_auth(token["token"].as_str().unwrap());
    let mut events = Events::of(request.send().await.unwrap());
    let mut other = Events::open(&front, "sessions").await;
    let path = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(front.send(Method::DELETE, &path, &json!({})).await.status, 204);
    let closed = async { while events.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), closed).await.expect("closed in time");
    let id = new_session(&front, "For the others").await;
    assert_eq!(other.next_of("session").await["session"]["id"], id);
    front.end().await;
}

#[tokio::test]
async fn topics_that_make_no_sense_are_refused() {
    let front = Front::new().await;
    let many = (0..65).map(|_| format!("run:{}", uuid::Uuid::now_v7())).collect::<Vec<_>>();
    for topics in ["", "x", "sessions@x", "sessions,", "system,system", &many.join(",")] {
        let path = format!("/api/v1/events?topics={topics}");
        let answer = answered(front.request(Method::GET, &path)).await;
        assert_eq!(answer.status, 400, "{topics}");
        assert_eq!(answer.body["errors"][0]["field"], "topics", "{topics}");
    }
    assert_eq!(front.get("/api/v1/events").await.body["errors"][0]["field"], "topics");
    let ok = many[..64].join(",");
    Events::open(&front, &ok).await;
    front.end().await;
}

/// Run by hand: `cargo test -p paddock-api --test it five_hundred -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn five_hundred_sessions_of_which_twenty_are_live() {
    let front = Front::new().await;
    for n in 0..480 {
        new_session(&front, &format!("Session {n}")).await;
    }
    let mut live = vec![];
    for _ in 0..20 {
        live.push(front.world.running().await);
    }
    front.caught_up().await;
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // In hundredths of a second, of the process's own time.
        fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap()
    };
    let queries = async || -> i64 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        sqlx::query_scalar(
            "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
        )
        .fetch_one(front.world.pool())
        .await
        .unwrap()
    };
    for readers in [0_usize, 1, 5] {
        let mut streams = vec![];
        for _ in 0..readers {
            let mut events = Events::open(&front, "sessions,system").await;
            streams.push(tokio::spawn(async move {
                let mut told = 0;
                loop {
                    if tokio::time::timeout(Duration::from_secs(3), events.next()).await.is_err() {
                        return told;
                    }
                    told += 1;
                }
            }));
        }
        let (begun, before) = (cpu(), queries().await);
        for round in 0..50_u32 {
            for (n, (_, sidecar)) in live.iter_mut().enumerate() {
                let title = format!("step {round} of {readers}");
                let part = json!({ "type": "tool", "tool": "bash", "state": { "title": title } });
                let call = Item::Part { message: "m".into(), id: format!("p{round}"), part };
                sidecar.frame(Body::Output { items: vec![call] }).await;
                if usize::try_from(round).unwrap() % 5 == n % 5 {
                    let usage = domain::run::Usage {
                        input_tokens: u64::from(round) + 100 * readers as u64,
                        ..domain::run::Usage::default()
                    };
                    sidecar.frame(Body::Fact(link::Fact::Usage { usage })).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (took, asked) = (cpu() - begun, queries().await - before);
        println!("{readers} readers: {took} hundredths of a second in ten, {asked} transactions");
        for stream in streams {
            stream.abort();
        }
    }
    front.end().await;
}
