use std::time::Duration;

use api::gateway::{Cursor, Decisions, GatewayState, Policies, Policy, router};
use domain::ids::RunId;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

struct Gateway {
    url: String,
    policies: Policies,
    decisions: Decisions,
}

impl Gateway {
    async fn of(world: &World) -> Self {
        let policies = Policies::unknown();
        let decisions = Decisions::new(world.pool().clone());
        let state = GatewayState::new(policies.clone(), decisions.clone(), "gateways");
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/gateway/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router(state)).await });
        Self { url, policies, decisions }
    }

    async fn poll(&self, after: &str) -> Value {
        let url = format!("{}/policies?after={after}", self.url);
        let get = Client::new().get(url).bearer_auth("gateways");
        get.send().await.unwrap().json().await.unwrap()
    }

    async fn report(&self, decisions: &Value) -> StatusCode {
        let url = format!("{}/decisions", self.url);
        let body = json!({ "decisions": decisions });
        let post = Client::new().post(url).bearer_auth("gateways").json(&body);
        post.send().await.unwrap().status()
    }
}

fn policy(n: u128) -> Policy {
    Policy {
        run: RunId(uuid::Uuid::from_u128(n)),
        repo: "acme/widget".parse().unwrap(),
        branch: "paddock/fix".parse().unwrap(),
        egress: "github".to_owned(),
        hosts: vec![],
        suspended: false,
        credential: None,
        door_sha256: None,
    }
}

#[tokio::test]
async fn a_poll_waits_for_other_policies_than_those_it_knows() {
    let world = World::new().await;
    let gateway = Gateway::of(&world).await;
    gateway.policies.publish(vec![policy(1)]);
    let first = gateway.poll("").await;
    assert_eq!(first["runs"][0]["repo"], "acme/widget");
    let etag = first["etag"].as_str().unwrap().to_owned();

    let again = gateway.poll(&etag);
    let mut again = std::pin::pin!(again);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut again).await;
    assert!(early.is_err(), "nothing changed");
    // The same in another order is no news; one more run is.
    gateway.policies.publish(vec![policy(1)]);
    gateway.policies.publish(vec![policy(2), policy(1)]);
    let news = again.await;
    assert_ne!(news["etag"], first["etag"]);
    assert_eq!(news["runs"].as_array().unwrap().len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_decision_reported_twice_is_kept_once_and_hostile_names_are_cut() {
    let world = World::new().await;
    let gateway = Gateway::of(&world).await;
    let run = RunId(uuid::Uuid::from_u128(7));
    let decision = |n: u128, host: &str| {
        json!({
            "id": uuid::Uuid::from_u128(n), "run": run, "at": format!("2026-01-01T00:00:0{n}Z"),
            "kind": "connect", "host": host, "port": 443, "verdict": "refused", "rule": "not allowed",
        })
    };
    let both = json!([decision(1, "example.org"), decision(2, &"\0x".repeat(1_000))]);
    assert_eq!(gateway.report(&both).await, 204);
    assert_eq!(gateway.report(&json!([decision(1, "changed"), decision(3, "c")])).await, 204);
    let kept = gateway.decisions.of_run(run, None, 10).await.unwrap();
    let hosts: Vec<_> = kept.iter().map(|kept| kept.host.len()).collect();
    assert_eq!((kept[0].host.as_str(), hosts), ("example.org", vec![11, 255, 1]));
    let after = Cursor { at: kept[1].at, id: kept[1].id };
    let rest = gateway.decisions.of_run(run, Some(after), 10).await.unwrap();
    assert_eq!(rest, kept[2..]);
    assert_eq!(gateway.decisions.of_run(RunId(uuid::Uuid::nil()), None, 10).await.unwrap(), []);
    world.end().await;
}

#[tokio::test]
async fn without_the_gateways_token_there_is_nothing() {
    let world = World::new().await;
    let gateway = Gateway::of(&world).await;
    gateway.policies.publish(vec![policy(1)]);
    for token in ["", "gateway", "gateways2"] {
        let get = Client::new().get(format!("{}/policies", gateway.url)).bearer_auth(token);
        assert_eq!(get.send().await.unwrap().status(), 401);
        let post = Client::new().post(format!("{}/decisions", gateway.url)).bearer_auth(token);
        assert_eq!(post.json(&json!({ "decisions": [] })).send().await.unwrap().status(), 401);
    }
    world.end().await;
}
