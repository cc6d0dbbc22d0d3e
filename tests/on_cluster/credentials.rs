//! Credentials as Secrets of the control plane's own namespace, with rights over those alone.

use anyhow::{Context as _, ensure};
use k8s_adapter::Secrets;
use kube::config::AuthInfo;
use reqwest::Method;
use serde_json::json;

use crate::{
    cluster::{World, kubectl},
    support::token,
};

/// A namespace in which somebody may do to Secrets what a control plane needs, and a client of theirs.
async fn own_namespace() -> anyhow::Result<(String, kube::Client)> {
    let namespace = format!("paddock-own-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    kubectl(&["create", "namespace", &namespace]).await?;
    for line in [
        &["create", "serviceaccount", "serve"][..],
        &["create", "role", "credentials", "--verb=create,get,list,delete", "--resource=secrets"],
        &["create", "rolebinding", "credentials", "--role=credentials"],
    ] {
        let account = format!("--serviceaccount={namespace}:serve");
        let mut all = [&["-n", namespace.as_str()][..], line].concat();
        if line.contains(&"rolebinding") {
            all.push(&account);
        }
        kubectl(&all).await?;
    }
    let token = kubectl(&["-n", &namespace, "create", "token", "serve"]).await?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::infer().await?;
    let token = Some(token.trim().to_owned().into());
    config.auth_info = AuthInfo { token, ..AuthInfo::default() };
    Ok((namespace, kube::Client::try_from(config)?))
}

#[tokio::test]
async fn the_store_needs_no_more_than_secrets_of_its_one_namespace() -> anyhow::Result<()> {
    let (namespace, client) = own_namespace().await?;
    let secrets = Secrets::new(client.clone(), &namespace);
    ensure!(secrets.names().await?.is_empty() && secrets.get("value.a.b").await?.is_none());
    secrets.put("value.a.b", "one").await?;
    secrets.put("token.a.c", "two").await?;
    secrets.put("token.a.c", "three").await?;
    ensure!(secrets.get("token.a.c").await?.as_deref() == Some(b"three"), "replaced");
    let mut names = secrets.names().await?;
    names.sort();
    ensure!(names == ["token.a.c", "value.a.b"], "{names:?}");
    // One that is no credential's is none of its own.
    kubectl(&["-n", &namespace, "create", "secret", "generic", "other"]).await?;
    ensure!(secrets.names().await?.len() == 2);
    secrets.remove("value.a.b").await?;
    secrets.remove("value.a.b").await?;
    ensure!(secrets.get("value.a.b").await?.is_none());
    let elsewhere = Secrets::new(client, "default");
    let refused = elsewhere.put("value.a.b", "one").await;
    ensure!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");
    kubectl(&["delete", "namespace", &namespace, "--wait=false"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_credential_is_a_secret_where_no_run_is_until_it_is_revoked() -> anyhow::Result<()> {
    let (own, client) = own_namespace().await?;
    let store = format!("kubernetes://{own}");
    let world = World::start_with(&[("PADDOCK_CREDENTIAL_STORE", &store)]).await?;
    let token = token();
    let new = json!({ "name": "work", "value": token, "repo": "octo-demo/greeter" });
    let made = world.paddock.post("credentials", new).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    let secrets = Secrets::new(client, &own);
    let names = secrets.names().await?;
    let [name] = names.as_slice() else { anyhow::bail!("{names:?}") };
    ensure!(name.contains(&id), "{name}");
    ensure!(secrets.get(name).await?.as_deref() == Some(token.as_bytes()));
    let of_runs = world.kubectl(&["get", "secrets", "-o", "name"]).await?;
    ensure!(!of_runs.contains("paddock-credential"), "{of_runs}");
    let (status, _) =
        world.paddock.call(Method::DELETE, &format!("credentials/{id}"), None).await?;
    ensure!(status == 202, "{status}");
    ensure!(secrets.names().await?.is_empty(), "it goes with it");
    let dir = world.paddock.data().join("credentials");
    ensure!(!dir.exists(), "nothing is on this machine");
    kubectl(&["delete", "namespace", &own, "--wait=false"]).await?;
    world.end().await
}
