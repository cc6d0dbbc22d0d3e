//! Sessions and runs as objects on the cluster: asked for by them, shown by them.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    cluster::{REQUESTER, World, kubectl},
    support::REPO,
};

const REQUESTED_BY: &str = "paddock.dev/requested-by";

fn session(name: &str, by: &str) -> Value {
    json!({
        "apiVersion": "paddock.dev/v1alpha1", "kind": "Session",
        "metadata": { "name": name, "annotations": { REQUESTED_BY: by } },
        "spec": { "repo": REPO, "title": format!("Session {name}") },
    })
}

fn run(name: &str, session: &str, scenario: &str, by: &str) -> Value {
    json!({
        "apiVersion": "paddock.dev/v1alpha1", "kind": "HarnessRun",
        "metadata": { "name": name, "annotations": { REQUESTED_BY: by } },
        "spec": { "session": session, "prompt": format!("[scenario: {scenario}] Go.") },
    })
}

impl World {
    async fn object(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        let text = self.kubectl(&["get", kind, name, "-o", "json"]).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Applies it as the one who may, and waits until it says what became of it.
    async fn asks(&self, object: &Value) -> anyhow::Result<Value> {
        let applied = self.apply_as(REQUESTER, object).await?;
        ensure!(applied.is_ok(), "{applied:?}");
        self.answered(object).await
    }

    async fn answered(&self, object: &Value) -> anyhow::Result<Value> {
        let kind = object["kind"].as_str().context("no kind")?;
        let name = object["metadata"]["name"].as_str().context("no name")?;
        self.eventually("the object says what became of it", async |world| {
            let status = world.object(kind, name).await?["status"].clone();
            let accepted = condition(&status, "Accepted");
            Ok(accepted.is_some_and(|one| one["reason"] != "Waiting"))
        })
        .await?;
        Ok(self.object(kind, name).await?["status"].clone())
    }
}

fn condition<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|one| one["type"] == name)
}

fn reason(status: &Value) -> String {
    condition(status, "Accepted").map(|one| one["reason"].to_string()).unwrap_or_default()
}

/// The policy is one for the whole cluster: whoever alters it does so alone.
static POLICY: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

#[tokio::test]
async fn a_run_that_is_applied_succeeds_and_kubectl_waits_for_it() -> anyhow::Result<()> {
    let _policy = POLICY.read().await;
    let world = World::start().await?;
    world.asks(&session("greeter", REQUESTER)).await?;
    let status = world.asks(&run("first", "greeter", "fix-greeter", REQUESTER)).await?;
    let id = status["id"].as_str().context("no id")?.to_owned();
    world.kubectl(&["wait", "--for=condition=Succeeded", "hr/first", "--timeout=120s"]).await?;
    let shown = world.paddock.get(&format!("runs/{id}")).await?;
    let object = world.object("hr", "first").await?;
    ensure!(object["status"]["pullRequest"]["url"] == shown["pull_request"]["url"], "{object:#}");
    for name in ["Accepted", "Admitted", "Fenced", "Succeeded"] {
        let one = condition(&object["status"], name).context(name)?;
        ensure!(one["status"] == "True" && one["observedGeneration"] == 1, "{one}");
    }
    // It is the deed of whom the API server vouched for, by that name.
    let events = world.paddock.get(&format!("runs/{id}/events")).await?;
    let requested = &events["items"][0];
    ensure!(requested["actor_name"] == REQUESTER, "{requested}");
    ensure!(
        requested["actor"].as_str().is_some_and(|actor| actor.starts_with("kubernetes:")),
        "{requested}"
    );
    // `get` and `describe` tell the story.
    let table = world.kubectl(&["get", "harnessruns"]).await?;
    ensure!(table.contains("succeeded") && table.contains("/pull/"), "{table}");
    world.end().await
}

#[tokio::test]
async fn a_tool_that_deletes_and_applies_again_has_one_run() -> anyhow::Result<()> {
    let _policy = POLICY.read().await;
    let world = World::start().await?;
    world.asks(&session("loop", REQUESTER)).await?;
    let object = run("synced", "loop", "empty-diff", REQUESTER);
    let first = world.asks(&object).await?;
    world.kubectl(&["wait", "--for=condition=Succeeded", "hr/synced", "--timeout=120s"]).await?;
    for _ in 0..2 {
        world.kubectl(&["delete", "hr", "synced", "--timeout=60s"]).await?;
        let again = world.asks(&object).await?;
        ensure!(again["id"] == first["id"], "{again:#}");
        ensure!(again["state"] == "succeeded", "{again:#}");
    }
    let runs = world.paddock.get("runs").await?;
    ensure!(runs["items"].as_array().is_some_and(|runs| runs.len() == 1), "{runs:#}");

    // The same name with another spec is another request, and the name is taken.
    world.kubectl(&["delete", "hr", "synced", "--timeout=60s"]).await?;
    let other = world.asks(&run("synced", "loop", "fix-greeter", REQUESTER)).await?;
    ensure!(reason(&other).contains("NameTaken"), "{other:#}");
    let runs = world.paddock.get("runs").await?;
    ensure!(runs["items"].as_array().is_some_and(|runs| runs.len() == 1), "{runs:#}");
    world.end().await
}

#[tokio::test]
async fn who_asked_cannot_be_forged() -> anyhow::Result<()> {
    let _policy = POLICY.read().await;
    let world = World::start().await?;
    // Somebody else's name, or none, at creation.
    for by in [REQUESTER, ""] {
        let refused = world.apply_as("mallory", &session("forged", by)).await?;
        ensure!(refused.as_ref().is_err_and(|words| words.contains(REQUESTED_BY)), "{refused:?}");
    }
    // Whoever may impersonate is who they say, and asks for themselves.
    let status = {
        let object = session("own-name", "mallory");
        let applied = world.apply_as("mallory", &object).await?;
        ensure!(applied.is_ok(), "{applied:?}");
        world.answered(&object).await?
    };
    ensure!(reason(&status).contains("Forbidden"), "{status:#}");

    world.asks(&session("mine", REQUESTER)).await?;
    // Another one edits the spec: under their own name it is immutable, under the first one's it is forged.
    for by in ["mallory", REQUESTER] {
        let mut edited = session("mine", by);
        edited["spec"]["title"] = json!("Theirs");
        let refused = world.apply_as("mallory", &edited).await?;
        ensure!(refused.is_err(), "an edit as {by} was taken");
    }
    // The annotation alone cannot be changed either.
    let refused = world.apply_as("mallory", &session("mine", "mallory")).await?;
    ensure!(refused.as_ref().is_err_and(|words| words.contains(REQUESTED_BY)), "{refused:?}");
    let sessions = world.paddock.get("sessions").await?;
    ensure!(sessions["items"].as_array().is_some_and(|all| all.len() == 1), "{sessions:#}");
    world.end().await
}

#[tokio::test]
async fn without_the_policy_as_it_should_be_nobody_is_believed() -> anyhow::Result<()> {
    if std::env::var("PADDOCK_TEST_CLUSTER").as_deref() != Ok("own") {
        return Ok(());
    }
    let _policy = POLICY.write().await;
    let world = World::start().await?;
    let name = "paddock-requested-by";
    let softened = r#"{"spec":{"failurePolicy":"Ignore"}}"#;
    let policy = ["patch", "validatingadmissionpolicy", name, "--type=merge", "-p", softened];
    let binding = ["delete", "validatingadmissionpolicybinding", name];
    for (at, break_it) in [&policy[..], &binding].into_iter().enumerate() {
        kubectl(break_it).await?;
        let object = session(&format!("unproven-{at}"), REQUESTER);
        let status = world.asks(&object).await?;
        ensure!(reason(&status).contains("IdentityUnproven"), "{status:#}");
        mend().await?;
        // Whoever applied it in the meantime stays unproven: the policy is younger than the object.
        tokio::time::sleep(std::time::Duration::from_secs(7)).await;
        let status = world.answered(&object).await?;
        ensure!(reason(&status).contains("IdentityUnproven"), "{status:#}");
    }
    let sessions = world.paddock.get("sessions").await?;
    ensure!(sessions["items"].as_array().is_some_and(Vec::is_empty), "{sessions:#}");
    let status = world.asks(&session("proven", REQUESTER)).await?;
    ensure!(status["id"].is_string(), "{status:#}");
    world.end().await
}

/// The definitions and the policy as they should be.
async fn mend() -> anyhow::Result<()> {
    let paddock = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds.yaml");
    let path = paddock.to_string_lossy().into_owned();
    kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path]).await?;
    Ok(())
}

#[tokio::test]
async fn deleting_a_run_asks_for_its_end_and_waits_for_it() -> anyhow::Result<()> {
    let _policy = POLICY.read().await;
    let world = World::start().await?;
    world.asks(&session("ended", REQUESTER)).await?;
    let status = world.asks(&run("long", "ended", "never-finish", REQUESTER)).await?;
    let id = status["id"].as_str().context("no id")?.to_owned();
    world.paddock.wait_state(&id, "running").await?;
    let pod = world.pod_of(&id, 1).await?;
    let owner = ["get", "pod", &pod, "-o", "jsonpath={.metadata.ownerReferences[0].name}"];
    ensure!(world.kubectl(&owner).await? == "long");
    world.kubectl(&["delete", "hr", "long", "--wait=false"]).await?;
    let ended = world.paddock.wait_end(&id).await?;
    ensure!(ended["outcome"] == "cancelled", "{ended:#}");
    let events = world.paddock.get(&format!("runs/{id}/events")).await?;
    let events = events["items"].as_array().context("no events")?.clone();
    let cancel = events.iter().find(|event| event["type"] == "run.cancel.requested");
    ensure!(cancel.context("not cancelled")?["actor"] == "kubernetes:unknown", "{events:#?}");
    world
        .eventually("the object is gone", async |world| {
            let left = world.kubectl(&["get", "hr", "long", "--ignore-not-found", "-o", "name"]);
            Ok(left.await?.is_empty())
        })
        .await?;
    // A session outlives its object.
    world.kubectl(&["delete", "sessions.paddock.dev", "ended", "--timeout=30s"]).await?;
    let sessions = world.paddock.get("sessions").await?;
    ensure!(sessions["items"].as_array().is_some_and(|all| all.len() == 1), "{sessions:#}");
    world.end().await
}

#[tokio::test]
async fn what_the_page_starts_is_shown_by_kubectl_and_an_edit_is_put_back() -> anyhow::Result<()> {
    let _policy = POLICY.read().await;
    let world = World::start().await?;
    let made = world.paddock.session("Shown").await?;
    let id = world.paddock.run(&made, "never-finish").await?;
    world.paddock.wait_state(&id, "running").await?;
    let name = format!("run-{id}");
    let state = async |world: &World| -> anyhow::Result<Value> {
        Ok(world.object("hr", &name).await?["status"]["state"].clone())
    };
    world
        .eventually("it says that it runs", async |world| Ok(state(world).await? == "running"))
        .await?;
    let of_session = world.object("sessions.paddock.dev", &format!("session-{made}")).await?;
    ensure!(of_session["spec"]["repo"] == REPO, "{of_session:#}");

    let lie = r#"{"status":{"state":"succeeded"}}"#;
    let patch = ["patch", "hr", &name, "--subresource=status", "--type=merge", "-p", lie];
    world.kubectl(&patch).await?;
    world
        .eventually("the status is put back", async |world| Ok(state(world).await? == "running"))
        .await?;
    world.kubectl(&["label", "hr", &name, "paddock.dev/run=another", "--overwrite"]).await?;
    world
        .eventually("the label is put back", async |world| {
            Ok(world.object("hr", &name).await?["metadata"]["labels"]["paddock.dev/run"] == id)
        })
        .await?;
    let spec = ["patch", "hr", &name, "--type=merge", "-p", r#"{"spec":{"prompt":"another"}}"#];
    ensure!(world.kubectl(&spec).await.is_err(), "its spec was edited");
    // Nobody else may use names like these.
    let mut reserved = session("x", REQUESTER);
    reserved["metadata"]["name"] = json!(format!("session-{}", uuid::Uuid::new_v4()));
    let status = world.asks(&reserved).await?;
    ensure!(reason(&status).contains("NameReserved"), "{status:#}");

    world.paddock.post(&format!("runs/{id}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&id).await?;
    world.end().await
}
