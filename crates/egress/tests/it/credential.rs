//! The credentials of runs: each its own, asked for anew for each request, in memory alone.

use domain::ids::{CredentialId, Generation};
use paddock_egress::{Policy, PolicyCredential};
use serde_json::json;
use uuid::Uuid;

use crate::{
    forge::Forge,
    world::{World, get, policy, text},
};

const REFS: &str = "/git/octo/hello.git/info/refs?service=git-upload-pack";
const FIRST: &str = "github_pat_first_canary_51aa";
const SECOND: &str = "github_pat_second_canary_77bb";

struct Scene {
    world: World,
    forge: Forge,
    policy: Policy,
    credential: CredentialId,
}

impl Scene {
    async fn new() -> Self {
        let forge = Forge::new(&["octo/hello"]).await;
        forge.take(&[FIRST, SECOND]);
        let mut world = World::new().await.git(&forge.url());
        world.start();
        let credential = CredentialId(Uuid::now_v7());
        let policy = with(credential, 1, false);
        let scene = Self { world, forge, policy, credential };
        scene.hand(1, FIRST);
        scene.world.open(std::slice::from_ref(&scene.policy)).await;
        scene
    }

    fn hand(&self, generation: u32, token: &str) {
        let body =
            json!({ "credential": self.credential, "generation": generation, "token": token });
        self.world.control.hand(self.policy.run, 200, body);
    }

    fn refuse(&self, rule: &str) {
        let body = json!({ "rule": rule, "detail": "the run's credential was revoked" });
        self.world.control.hand(self.policy.run, 403, body);
    }

    async fn fetch(&self) -> (u16, String) {
        let response = self.world.send(&self.policy, get(REFS)).await;
        let status = response.status().as_u16();
        (status, text(response).await)
    }

    fn carried(&self) -> Vec<String> {
        self.forge.seen().into_iter().map(|seen| seen.token).collect()
    }

    /// No file of the gateway's and nothing that it reported holds a value.
    fn nothing_is_kept(&self) {
        let mut files = vec![self.world.dir.path().to_owned()];
        let mut read = 0;
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path()));
            } else if let Ok(bytes) = std::fs::read(&path) {
                read += 1;
                for token in [FIRST, SECOND] {
                    let holds = bytes.windows(token.len()).any(|part| part == token.as_bytes());
                    assert!(!holds, "{}", path.display());
                }
            }
        }
        assert!(read >= 2, "the policies and the journal");
        let heard = self.world.control.heard();
        assert!(!heard.contains(FIRST) && !heard.contains(SECOND));
    }
}

fn with(credential: CredentialId, generation: u32, revoked: bool) -> Policy {
    let generation = Generation(generation);
    let credential = Some(PolicyCredential { id: credential, generation, revoked });
    Policy { credential, ..policy("octo/hello", "x") }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_reaches_the_forge_with_its_own_and_one_without_with_the_gateways() {
    let scene = Scene::new().await;
    let other = with(CredentialId(Uuid::now_v7()), 1, false);
    let plain = policy("octo/hello", "x");
    let id = other.credential.unwrap().id;
    let body = json!({ "credential": id, "generation": 1, "token": SECOND });
    scene.world.control.hand(other.run, 200, body);
    scene.world.open(&[scene.policy.clone(), other.clone(), plain.clone()]).await;
    for policy in [&scene.policy, &other, &plain] {
        let response = scene.world.send(policy, get(REFS)).await;
        assert_eq!(response.status(), 200, "{}", text(response).await);
    }
    assert_eq!(scene.carried(), [FIRST, SECOND, crate::world::FORGE_TOKEN]);
    scene.nothing_is_kept();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_value_is_carried_by_the_next_request_and_a_revoked_one_by_none() {
    let scene = Scene::new().await;
    assert_eq!(scene.fetch().await.0, 200);
    // Whatever the policies say by then: the word that counts is asked for.
    scene.hand(2, SECOND);
    assert_eq!(scene.fetch().await.0, 200);
    assert_eq!(scene.carried(), [FIRST, SECOND]);
    scene.refuse("credential.revoked");
    let (status, words) = scene.fetch().await;
    assert_eq!(status, 403);
    assert!(words.contains("was revoked (rule credential.revoked)"), "{words}");
    assert_eq!(scene.carried().len(), 2, "nothing went out");
    let decisions = scene.world.control.decisions_until(|all| all.len() >= 3).await;
    assert!(decisions.iter().any(|decision| decision.rule == "credential.revoked"));
    scene.nothing_is_kept();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_control_plane_is_away_the_last_value_is_used_unless_it_was_said_to_count_no_longer()
 {
    let mut scene = Scene::new().await;
    assert_eq!(scene.fetch().await.0, 200);
    let asked = scene.world.control.asked();
    scene.world.control.down();
    assert_eq!(scene.fetch().await.0, 200, "the last value");
    assert_eq!(scene.world.control.asked(), asked);
    assert_eq!(scene.carried(), [FIRST, FIRST]);

    // Revoked by the policies, and then away: nothing of it is left.
    scene.world.control.up().await;
    let revoked = Policy {
        credential: scene.policy.credential.map(|of| PolicyCredential { revoked: true, ..of }),
        ..scene.policy.clone()
    };
    scene.world.control.set(vec![revoked]);
    let mut status = 200;
    for _ in 0..100 {
        status = scene.fetch().await.0;
        if status == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, 403, "the policy alone is enough");

    // A gateway that starts anew without a control plane has nothing, and says so.
    scene.world.control.set(vec![scene.policy.clone()]);
    for _ in 0..100 {
        status = scene.fetch().await.0;
        if status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200);
    scene.world.control.down();
    scene.world.stop().await;
    scene.world.start();
    let socket = scene.world.socket(&scene.policy);
    crate::world::eventually("it listens", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    })
    .await;
    let (status, words) = scene.fetch().await;
    assert_eq!(status, 503, "{words}");
    assert!(words.contains("credential.unavailable"), "{words}");
    scene.nothing_is_kept();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_token_goes_out_in_the_place_of_one_that_is_not_to_be_had() {
    let scene = Scene::new().await;
    for (status, body) in [
        (204, json!(null)),
        (403, json!({ "rule": "credential.expired", "detail": "it has expired" })),
        (403, json!({ "rule": "made.up", "detail": "no such rule" })),
        (503, json!(null)),
        (200, json!({ "credential": Uuid::now_v7(), "generation": 1, "token": SECOND })),
        (200, json!({ "nonsense": true })),
    ] {
        scene.world.control.hand(scene.policy.run, status, body.clone());
        let (answered, words) = scene.fetch().await;
        assert!(matches!(answered, 403 | 503), "{status} {body}: {answered} {words}");
        assert!(words.contains("rule credential."), "{words}");
    }
    assert_eq!(scene.carried(), [""; 0], "the forge heard nothing");
    // One that the forge itself refuses: it says whose it is.
    scene.hand(1, "github_pat_that_the_forge_does_not_know");
    let (status, words) = scene.fetch().await;
    assert_eq!(status, 403);
    assert!(words.contains("does not accept the run's credential"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_quotes_a_runs_token_is_blanked_out() {
    let echo = axum::Router::new().fallback(|headers: axum::http::HeaderMap| async move {
        let sent = headers["authorization"].to_str().unwrap().to_owned();
        format!("{sent} {FIRST}")
    });
    let echo = crate::world::serve(echo).await;
    let mut world = World::new().await.git(&format!("http://{echo}/"));
    world.start();
    let policy = with(CredentialId(Uuid::now_v7()), 1, false);
    let id = policy.credential.unwrap().id;
    let body = json!({ "credential": id, "generation": 1, "token": FIRST });
    world.control.hand(policy.run, 200, body);
    world.open(std::slice::from_ref(&policy)).await;
    let answer = text(world.send(&policy, get(REFS)).await).await;
    assert!(answer.starts_with("Basic ****") && !answer.contains(FIRST), "{answer}");
}
