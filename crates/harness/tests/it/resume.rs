use std::{fs, io::Read as _, time::Duration};

use reqwest::Method;
use serde_json::Value;

use crate::support::{BRANCH, Sandbox, pids, wait_for};

#[tokio::test]
async fn a_second_run_on_empty_directories_continues_the_same_session() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let session = harness.session().await;
    harness
        .turn(
            &session,
            "remember the plums. run: head -c 8 /dev/urandom | xxd -p; echo x > made.txt",
        )
        .await;
    let told = harness.settled_messages(&session).await;
    let nonce = told.as_array().unwrap().iter().find_map(|message| {
        let parts = message["parts"].as_array()?;
        let part = parts.iter().find(|part| part["type"] == "tool")?;
        Some(part["state"]["output"].as_str()?.trim().to_owned())
    });
    let nonce = nonce.unwrap();
    assert_eq!(nonce.len(), 16, "{nonce}");
    // Taken while the agent runs.
    let (_, bundle) = harness.bundle().await;
    harness.end().await;

    sandbox.wipe();
    sandbox.model.forget();
    let harness = sandbox.harness().await;
    harness.restore(bundle, BRANCH).await.unwrap();
    assert_eq!(fs::read_to_string(sandbox.repository().join("made.txt")).unwrap(), "x\n");
    harness.start().await.unwrap();
    let sessions = harness.agent(Method::GET, "session", &Value::Null).await;
    assert_eq!(sessions[0]["id"], session.as_str());
    assert_eq!(harness.messages(&session).await, told);
    harness.turn(&session, "go on").await;
    let asked = sandbox.model.was_asked();
    assert!(asked.contains("remember the plums") && asked.contains(&nonce));
    harness.end().await;
}

#[tokio::test]
async fn the_agent_stands_still_while_it_is_copied_and_goes_on_afterwards() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    harness.start().await.unwrap();
    let session = harness.session().await;
    let repository = sandbox.repository();
    // The first of two files that always say the same is copied long before the second. What writes them has
    // left the agent's process tree.
    fs::write(repository.join("m-large"), vec![b'x'; 300 << 20]).unwrap();
    let script = "echo $$ > ../writer; n=0; while :; do n=$((n+1)); echo $n > a-first; echo $n > z-second; done";
    fs::write(repository.join("write.sh"), script).unwrap();
    harness
        .turn(&session, "run: setsid sh write.sh > /dev/null 2>&1 < /dev/null & sleep 0.2")
        .await;
    let count = |name: &str| {
        let text = fs::read_to_string(repository.join(name)).unwrap_or_default();
        text.trim().parse::<u64>().unwrap_or(0)
    };
    wait_for("the writer", || count("z-second") > 0).await;
    let writer = pids(&sandbox.dir.path().join("workspace/writer"))[0];
    let (_, bundle) = harness.bundle().await;
    let mut kept = Vec::new();
    zstd::Decoder::new(&bundle[..]).unwrap().read_to_end(&mut kept).unwrap();
    let said = |name: &str| {
        let mut archive = tar::Archive::new(&kept[..]);
        let mut entries = archive.entries().unwrap().map(Result::unwrap);
        let mut entry = entries.find(|entry| entry.path().unwrap().ends_with(name)).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        text.trim().parse::<u64>().unwrap_or(0)
    };
    let (first, second) = (said("repo/a-first"), said("repo/z-second"));
    // It was stopped anywhere between two writes, or between opening a file anew and writing to it.
    let apart = first.abs_diff(second);
    assert!(apart <= 1 || first == 0 || second == 0, "{first} and {second}");
    let before = count("z-second");
    wait_for("more from the writer", || count("z-second") > before + 10).await;
    assert!(crate::support::is_alive(writer));
    let status = harness.agent(Method::GET, "session", &Value::Null);
    tokio::time::timeout(Duration::from_secs(5), status).await.unwrap();
    harness.end().await;
    assert!(!crate::support::is_alive(writer));
}
