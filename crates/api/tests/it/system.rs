//! Each part that is stopped is named within five seconds, and found well again by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use api::system::{Finding, PartName, Probe};
use commands::relay::{self, Relay};
use reqwest::Method;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::{
    forge::Forge,
    front::{Front, answered},
    nats::Nats,
    sse::Events,
};

fn part<'a>(system: &'a Value, name: &str) -> Option<&'a Value> {
    system["parts"].as_array().unwrap().iter().find(|part| part["name"] == name)
}

/// Follows the topic until a part is as expected; gives all parts as they are then.
async fn until(events: &mut Events, name: &str, ok: bool) -> Value {
    let begun = Instant::now();
    loop {
        let event = events.next_of("system").await;
        assert_eq!(event["topic"], "system");
        let system = event["system"].clone();
        if part(&system, name).is_some_and(|part| part["ok"] == ok) {
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(5), "{name} is {ok} after {took:?}");
            let part = part(&system, name).unwrap();
            assert_eq!(part["action"].is_string(), !ok, "{part}");
            assert_eq!(part["still_works"].is_string(), !ok, "{part}");
            assert!(!part["detail"].as_str().unwrap().is_empty(), "{part}");
            return system;
        }
    }
}

fn wrong(system: &Value) -> Vec<&str> {
    let parts = system["parts"].as_array().unwrap().iter();
    parts.filter(|part| part["ok"] == false).map(|part| part["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_part_that_stops_is_named_and_comes_back_by_itself() {
    let mut nats = Nats::start();
    let client = nats.client().await;
    let model = Forge::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = model.url.clone();
    let connected = client.clone();
    let front = Front::with(|probes, progress| {
        let state = move || connected.connection_state();
        probes.push(Probe::relay(progress.clone(), move || {
            let down = state() != async_nats::connection::State::Connected;
            down.then(|| "NATS is not connected".to_owned())
        }));
        probes.push(Probe::model(http, Some(url)));
    })
    .await;
    let stop = CancellationToken::new();
    tokio::spawn(relay::run(
        front.world.pool().clone(),
        Relay::new(client, "https://paddock.test"),
        front.progress.clone(),
        stop.clone(),
    ));
    let gateway = front.gateway().await;
    let mut events = Events::open(&front, "system").await;
    for name in ["database", "sequencer", "relay", "projections", "egress", "forge", "model"] {
        if part(&front.read("/api/v1/system").await, name).is_none_or(|part| part["ok"] == false) {
            until(&mut events, name, true).await;
        }
    }
    assert_eq!(wrong(&front.read("/api/v1/system").await), [""; 0]);
    events = Events::open(&front, "system").await;

    nats.stop();
    let system = until(&mut events, "relay", false).await;
    assert_eq!(wrong(&system), ["relay"]);
    nats.again();
    until(&mut events, "relay", true).await;

    let address = model.address;
    model.stop().await;
    let system = until(&mut events, "model", false).await;
    assert_eq!(wrong(&system), ["model"]);
    let _model = Forge::at(address).await;
    until(&mut events, "model", true).await;

    front.forge.stop_serving().await;
    until(&mut events, "forge", false).await;
    let _forge = Forge::at(front.forge.address).await;
    until(&mut events, "forge", true).await;

    gateway.abort();
    until(&mut events, "egress", false).await;
    let _gateway = front.gateway().await;
    until(&mut events, "egress", true).await;
    stop.cancel();
    front.end().await;
}

#[tokio::test]
async fn how_the_parts_are_is_told_while_the_database_is_away() {
    let front = Front::new().await;
    front.read("/api/v1/system").await;
    let mut events = Events::open(&front, "system,sessions").await;
    until(&mut events, "database", true).await;
    let allow = async |allowed: bool| {
        let name = &front.world.database;
        let mut root = PgConnection::connect_with(&front.world.superuser()).await.unwrap();
        let alter = format!("alter database {name} with allow_connections {allowed}");
        root.execute(AssertSqlSafe(alter)).await.unwrap();
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        root.execute(AssertSqlSafe(end)).await.unwrap();
    };
    allow(false).await;
    until(&mut events, "database", false).await;
    let begun = Instant::now();
    let answer = front.get("/api/v1/system").await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(wrong(&answer.body).contains(&"database"));
    // A stream can be opened too, by whoever was known before, and by nobody else.
    let request = front.request(Method::GET, "/api/v1/events?topics=system");
    let mut new = Events::of(request.send().await.unwrap());
    assert!(new.next_of("hello").await["epoch"].is_null());
    new.next_of("system").await;
    let stranger = front.http.get(front.url("/api/v1/system")).bearer_auth("pdk_unknown");
    assert_eq!(answered(stranger).await.status, 503);
    allow(true).await;
    until(&mut events, "database", true).await;
    // The same stream goes on with the lists.
    let new = serde_json::json!({ "repo": "acme/widget", "title": "After" });
    let id = front.post("/api/v1/sessions", &new).await;
    assert_eq!(events.next_of("session").await["session"]["id"], id);
    front.end().await;
}

#[tokio::test]
async fn nothing_is_looked_at_while_nobody_watches() {
    let looks = Arc::new(AtomicU32::new(0));
    let counted = looks.clone();
    let front = Front::with(|probes, _| {
        *probes = vec![Probe::new(PartName::Adapter, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Finding::well("fine"))
        })];
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(looks.load(Ordering::SeqCst), 0);
    let mut events = Events::open(&front, "system").await;
    until(&mut events, "adapter", true).await;
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert!(looks.load(Ordering::SeqCst) >= 2);
    drop(events);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let then = looks.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(looks.load(Ordering::SeqCst), then);
    front.end().await;
}
