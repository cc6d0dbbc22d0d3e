//! Who a pod is, is what the API server says.

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{cluster::World, fence_late};

/// What the link's listener answers to a token.
async fn answer(link: &str, token: &str) -> anyhow::Result<StatusCode> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let nothing = "0".repeat(64);
    let request = client.head(format!("http://{link}/bundles/{nothing}")).bearer_auth(token);
    Ok(request.send().await?.status())
}

#[tokio::test]
async fn only_the_token_of_the_runs_own_pod_for_paddock_is_taken() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Identity").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let link = world.link.clone();
    let token = async |audience: &str, pod: Option<&str>| {
        let audience = format!("--audience={audience}");
        let mut line = vec!["create", "token", "default", &audience, "--duration=10m"];
        let name = pod.map(|pod| format!("--bound-object-name={pod}"));
        if let Some(name) = &name {
            line.extend(["--bound-object-kind=Pod", name]);
        }
        anyhow::Ok(world.kubectl(&line).await?.trim().to_owned())
    };
    let own = token("paddock", Some(&pod)).await?;
    // There is no such bundle: the identity was taken.
    ensure!(answer(&link, &own).await? == StatusCode::NOT_FOUND);
    let another_audience = token("https://kubernetes.default.svc", Some(&pod)).await?;
    ensure!(answer(&link, &another_audience).await? == StatusCode::UNAUTHORIZED);
    let of_no_pod = token("paddock", None).await?;
    ensure!(answer(&link, &of_no_pod).await? == StatusCode::UNAUTHORIZED);
    // A pod of the same namespace that is nobody's workload: it may be recorded yet, and is told to try again.
    world.apply(&fence_late::pod("stranger", &json!({}), "sleep 600")?).await?;
    let of_a_stranger = token("paddock", Some("stranger")).await?;
    ensure!(answer(&link, &of_a_stranger).await? == StatusCode::SERVICE_UNAVAILABLE);
    world.kubectl(&["delete", "pod", "stranger", "--wait=false"]).await?;
    ensure!(answer(&link, "eyJhbGciOiJub25lIn0.e30.").await? == StatusCode::UNAUTHORIZED);

    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.paddock.removed(&run).await?;
    // The API server remembers for ten seconds that a token was good.
    world
        .eventually("the token of a deleted pod is refused", async |_| {
            Ok(answer(&link, &own).await? == StatusCode::UNAUTHORIZED)
        })
        .await?;
    world.end().await
}
