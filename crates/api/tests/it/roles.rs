//! Roles given and taken: when they count, what is on the record, and why somebody may.

use std::time::{Duration, Instant};

use domain::ids::UserId;
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::front::{Front, answered};

/// Somebody with a token and no role.
async fn somebody(front: &Front) -> (UserId, String) {
    let user = UserId(Uuid::now_v7());
    (user, front.token_of(user).await)
}

#[tokio::test]
async fn a_role_that_is_taken_counts_at_once_and_elsewhere_within_a_second_and_streams_close() {
    let front = Front::new().await;
    let (workload, _sidecar) = front.world.running().await;
    let (user, token) = somebody(&front).await;
    let scope = format!("session:{}", workload.session);
    let binding = front.bind(&format!("user:{user}"), "viewer", &scope).await;
    front.caught_up().await;
    let elsewhere = front.replica().await;
    let path = format!("/api/v1/runs/{}", workload.run);
    let get = |base: &str, path: &str| front.http.get(format!("{base}{path}")).bearer_auth(&token);
    let here = front.url("");
    for base in [&here, &elsewhere] {
        assert_eq!(answered(get(base, &path)).await.status, 200, "{base}");
    }
    let mut open = vec![];
    for base in [&here, &elsewhere] {
        for stream in [
            format!("/api/v1/events?topics=run:{}", workload.run),
            "/api/v1/events?topics=sessions".to_owned(),
            format!("{path}/output"),
        ] {
            let answer = get(base, &stream).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{stream}");
            open.push((stream, answer.bytes_stream()));
        }
    }

    let answer =
        front.send(Method::DELETE, &format!("/api/v1/role-bindings/{binding}"), &json!({})).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let taken = Instant::now();
    assert_eq!(answered(get(&here, &path)).await.status, 404, "at once");
    while answered(get(&elsewhere, &path)).await.status != 404 {
        assert!(taken.elapsed() < Duration::from_secs(10), "never there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("elsewhere after {:?}", taken.elapsed());
    for (stream, mut bytes) in open {
        // What was under way is read; then it is over.
        let over = async { while let Some(Ok(_)) = bytes.next().await {} };
        let left = Duration::from_secs(5).saturating_sub(taken.elapsed());
        tokio::time::timeout(left, over).await.unwrap_or_else(|_| panic!("{stream} is open"));
    }
    println!("streams closed after {:?}", taken.elapsed());
    front.end().await;
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing_and_whom_to_ask_and_it_is_on_the_record() {
    let front = Front::new().await;
    let (workload, _sidecar) = front.world.running().await;
    let (user, token) = somebody(&front).await;
    let scope = format!("session:{}", workload.session);
    front.bind(&format!("user:{user}"), "viewer", &scope).await;
    front.caught_up().await;
    let path = format!("/api/v1/runs/{}/cancel", workload.run);
    let cancel = || front.http.post(front.url(&path)).bearer_auth(&token).json(&json!({}));
    let answer = answered(cancel()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["type"], "https://paddock.dev/problems/forbidden");
    let missing = &answer.body["missing"];
    assert_eq!(missing["action"], "run.cancel");
    assert_eq!(missing["role"], "maintainer");
    assert_eq!(missing["scope"], scope);
    assert_eq!(missing["has"], "viewer");
    let owner = format!("user:{}", front.world.owner);
    assert!(missing["ask"].as_array().unwrap().contains(&json!(owner)), "{missing}");
    // One event on the trail of whoever tried, and none on the run's.
    let trail: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "select name, body from paddock.event where stream = $1 and name = 'actor.command.refused'",
    )
    .bind(format!("actor-{user}"))
    .fetch_all(front.world.pool())
    .await
    .unwrap();
    assert_eq!(trail.len(), 1, "{trail:?}");
    let body: serde_json::Value = serde_json::from_slice(&trail[0].1).unwrap();
    assert_eq!(body["command"], "run.cancel");
    assert_eq!(body["code"], "forbidden");
    assert_eq!(body["target"], format!("run-{}", workload.run));
    front.end().await;
}

#[tokio::test]
async fn a_maintainer_shares_up_to_what_they_are_and_the_last_admin_stays() {
    let front = Front::with_admin(false).await;
    let first = front.admin;
    let (workload, _sidecar) = front.world.running().await;
    let owner = front.token_of(front.world.owner).await;
    front.caught_up().await;
    let scope = format!("session:{}", workload.session);
    let share = |role: &str, subject: &str, repositories: serde_json::Value| {
        let new = json!({
            "subject": subject, "role": role, "scope": scope, "repositories": repositories,
        });
        answered(front.http.post(front.url("/api/v1/role-bindings")).bearer_auth(&owner).json(&new))
    };
    assert_eq!(share("viewer", "group:staff", json!([])).await.status, 201);
    let again = share("viewer", "group:staff", json!([])).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["type"]),
        (409, &json!("https://paddock.dev/problems/binding-exists"))
    );
    assert_eq!(
        share("maintainer", "kubernetes:system:serviceaccount:ci:bot", json!([])).await.status,
        201
    );
    assert_eq!(share("admin", "group:staff", json!([])).await.status, 403);
    assert_eq!(share("viewer", "group:staff", json!(["acme/*"])).await.status, 409);
    assert_eq!(share("viewer", "group:others", json!(["acme/*"])).await.status, 422);
    for (subject, field) in [("staff", "subject"), ("user:x", "subject"), ("group:", "subject")] {
        let answer = share("viewer", subject, json!([])).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(answer.body["errors"][0]["field"], field);
    }
    front.caught_up().await;
    let path = format!("/api/v1/role-bindings?scope={scope}");
    let listed = answered(front.http.get(front.url(&path)).bearer_auth(&owner)).await.body;
    let subjects: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["kubernetes:system:serviceaccount:ci:bot", "group:staff"]);
    // Whoever is nobody there is not told that it is there.
    let (_, stranger) = somebody(&front).await;
    assert_eq!(answered(front.http.get(front.url(&path)).bearer_auth(&stranger)).await.status, 404);
    assert_eq!(
        answered(front.http.get(front.url("/api/v1/role-bindings")).bearer_auth(&owner))
            .await
            .status,
        403
    );

    // The one admin there is was made so by a binding.
    let all = front.read("/api/v1/role-bindings?scope=global").await;
    let admin = all["items"][0].clone();
    assert_eq!(
        (&admin["role"], &admin["subject"]),
        (&json!("admin"), &json!(format!("user:{first}")))
    );
    let own = format!("/api/v1/role-bindings/{}", admin["id"].as_str().unwrap());
    let answer = front.send(Method::DELETE, &own, &json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["type"]),
        (409, &json!("https://paddock.dev/problems/binding-last-admin"))
    );
    let (second, of_second) = somebody(&front).await;
    front.bind(&format!("user:{second}"), "admin", "global").await;
    assert_eq!(front.send(Method::DELETE, &own, &json!({})).await.status, 202);
    // From now on the second one is the last.
    assert_eq!(front.get("/api/v1/role-bindings").await.status, 403);
    let list = front.http.get(front.url("/api/v1/role-bindings")).bearer_auth(&of_second);
    assert_eq!(answered(list).await.status, 200);
    front.end().await;
}

#[tokio::test]
async fn two_admins_who_take_each_others_role_at_once_leave_one() {
    let front = Front::with_admin(false).await;
    let (second, of_second) = somebody(&front).await;
    front.bind(&format!("user:{second}"), "admin", "global").await;
    front.caught_up().await;
    let all = front.read("/api/v1/role-bindings?scope=global").await;
    let of = |subject: String| {
        let items = all["items"].as_array().unwrap();
        let binding = items.iter().find(|binding| binding["subject"] == subject).unwrap();
        format!("/api/v1/role-bindings/{}", binding["id"].as_str().unwrap())
    };
    let (first, second) = (of(format!("user:{}", front.admin)), of(format!("user:{second}")));
    let by_first = front.request(Method::DELETE, &second).json(&json!({}));
    let by_second = front.http.delete(front.url(&first)).bearer_auth(&of_second).json(&json!({}));
    let (one, other) = tokio::join!(answered(by_first), answered(by_second));
    let done = [one.status.as_u16(), other.status.as_u16()];
    assert_eq!(done.iter().filter(|status| **status == 202).count(), 1, "{done:?}");
    front.end().await;
}

#[tokio::test]
async fn an_answer_says_why_and_who_else() {
    let front = Front::new().await;
    let (workload, _sidecar) = front.world.running().await;
    let owner = front.token_of(front.world.owner).await;
    let scope = format!("session:{}", workload.session);
    let binding = front.bind("group:staff", "maintainer", &scope).await;
    front.caught_up().await;
    let ask = |token: &str, query: String| {
        let url = front.url(&format!("/api/v1/access/explain?{query}"));
        answered(front.http.get(url).bearer_auth(token))
    };
    let why = ask(&owner, format!("action=run.start&resource={scope}")).await.body;
    assert_eq!(why["allowed"], true);
    assert_eq!(why["because"][0]["kind"], "owner");
    let who = why["who"].as_array().unwrap();
    let named = |subject: &str| who.iter().find(|holder| holder["subject"] == subject);
    assert_eq!(named("group:staff").unwrap()["because"]["binding"], binding);
    assert_eq!(
        named(&format!("user:{}", front.admin)).unwrap()["because"]["kind"],
        "configuration"
    );
    let run = format!("action=run.egress.full&resource=run:{}", workload.run);
    let why = ask(&owner, run).await.body;
    assert_eq!(why["allowed"], false);
    assert_eq!(why["missing"], json!({ "role": "admin", "scope": scope }));
    // Of somebody else only who may change it is told, or sees all.
    let other = format!("action=run.start&resource={scope}&subject=group:guests");
    assert_eq!(ask(&owner, other.clone()).await.body["allowed"], false);
    let (viewer, of_viewer) = somebody(&front).await;
    front.bind(&format!("user:{viewer}"), "viewer", &scope).await;
    assert_eq!(ask(&of_viewer, other).await.status, 403);
    let own = ask(&of_viewer, format!("action=run.start&resource={scope}")).await.body;
    assert_eq!((&own["allowed"], &own["who"]), (&json!(false), &json!(null)));
    let (_, stranger) = somebody(&front).await;
    assert_eq!(ask(&stranger, format!("action=run.start&resource={scope}")).await.status, 404);
    for (query, field) in [
        ("action=run.explode&resource=installation".to_owned(), "action"),
        ("action=run.start&resource=installation".to_owned(), "resource"),
        ("action=run.start&resource=somewhere".to_owned(), "resource"),
    ] {
        let answer = ask(&owner, query).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["errors"][0]["field"]),
            (400, &json!(field))
        );
    }
    let me = front.read("/api/v1/me").await;
    assert_eq!(
        me["roles"][0],
        json!({ "role": "admin", "scope": "global", "repositories": [], "binding": null })
    );
    assert!(me["allowed_actions"].as_array().unwrap().contains(&json!("settings.change")));
    front.end().await;
}
